"""The trained networks and their inputs, as the stages behind training take them."""
