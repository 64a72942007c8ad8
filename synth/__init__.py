"""What does it cost: maps circuits to gates, replays the netlists, and compares them."""
