"""What happens to every stored reply, on every channel, step by step."""
