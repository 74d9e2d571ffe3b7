"""Everything with a gradient or a score: encoders, tokenizers, heads, systems, results."""
