"""Pictures of parking: frames, stills of whole episodes; imported only when something is drawn."""
