"""The data sets, one file a family; all give ``training.sample.Sample``s."""
