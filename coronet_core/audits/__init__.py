"""What a trained network is asked that a test split's accuracy does not tell."""
