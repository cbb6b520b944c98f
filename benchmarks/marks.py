"""The part of a page that a program writes, between two marks."""


def put_between(page: str, begin: str, end: str, block: str) -> str:
    """The page with the block in place of what stood between the marks.

    Raises:
        ValueError: A mark is missing.
    """
    if begin not in page or end not in page:
        raise ValueError(f"expected the marks {begin!r} and {end!r} in the page: put them where the figures belong")
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.partition(end)[2]}"
