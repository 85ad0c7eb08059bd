"""What happens after a commit: each follower reads the journal from its own place in it, at its own pace."""
