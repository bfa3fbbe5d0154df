"""CombLock: a combination lock that plain policy gradient cannot open, and exact MDPs."""
