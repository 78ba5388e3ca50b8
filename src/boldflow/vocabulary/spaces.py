"""Names of the spaces that volumes lie in, as BIDS and TemplateFlow write them."""

# Templates of adults' brains, brought to the coordinates of the Montreal Neurological Institute, in which the surfaces
# of fsaverage lie (up to some millimetres from template to template). Infants' and children's templates begin with MNI
# too, and are no such space.
MNI = (
    *("MNI152NLin2009cAsym", "MNI152NLin2009cSym", "MNI152NLin2009aAsym", "MNI152NLin2009aSym"),
    *("MNI152NLin2009bAsym", "MNI152NLin2009bSym", "MNI152NLin6Asym", "MNI152NLin6Sym", "MNI152Lin"),
    *("MNI305", "MNIColin27", "IXI549Space"),
)
# A subject's own spaces.
OF_SUBJECT = ("T1w", "T2w", "anat", "func", "boldref", "bold", "run", "orig", "individual", "scanner")


def kind_of(space: str) -> str:
    """Give the space of volumes as responses know it: "MNI", "native", or the template itself where it is another."""
    template = space.split("_")[0]
    if template in MNI:
        return "MNI"
    return "native" if template in OF_SUBJECT else template
