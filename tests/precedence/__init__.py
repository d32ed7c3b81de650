"""The model of Istio's precedence against a real istiod, by generation. `python -m tests.precedence` runs it."""
