"""What both training stages share: epochs on record, checkpoints, number formats."""
