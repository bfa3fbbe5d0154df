"""Parking: scenes, the batched simulator, the Gymnasium environment and its renderer."""
