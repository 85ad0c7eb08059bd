"""What the ledger can do; opens the transactions."""
