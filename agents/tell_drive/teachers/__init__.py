"""Teachers: rules, planners, language models, memories, and mixtures of them."""
