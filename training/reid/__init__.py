"""Re-identification: does a data set with reposed pictures added train a better model?

    python -m training.reid render --out DIR            a synthetic set in Market-1501's form
    python -m training.reid run CONFIG --data DIR --out RUN      the experiment, resumable
    python -m training.reid table RUN -o FOLDER         results.json and the table
    python -m training.reid train CONFIG --data DIR --out WEIGHTS   one model, to keep

The protocol, and what nobody specifies about it, is in ``plan``; Market's rule in ``evaluation``.
"""
