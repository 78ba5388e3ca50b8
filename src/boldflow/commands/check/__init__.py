"""``python -m boldflow check FOLDER``: a BIDS folder of one's own, looked at before anything runs.

``draft`` makes the catalogue's entry of what the folder shows, ``guesses`` says why each key is what it is, ``looking``
calls the readers and checks that plug-in and stages use and collects what they raise as ``findings``, ``splits`` tries
the catalogue's splits on the trials, ``text`` writes it all down.
"""
