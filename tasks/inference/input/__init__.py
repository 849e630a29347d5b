"""The files that predictions are asked for, wherever they are."""
