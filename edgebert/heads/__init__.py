"""What stands on the encoder: a text's vector, or scores for its labels."""
