"""The doors: thin ASGI apps around the engine, and the proofs that callers must bring."""
