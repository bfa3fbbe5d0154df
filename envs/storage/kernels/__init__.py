"""The compiled parts of the storage simulator."""
