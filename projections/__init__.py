"""Pure folds over recorded events: what anyone is shown."""
