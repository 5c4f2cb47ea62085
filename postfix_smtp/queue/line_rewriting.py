"""Records of lines turned into lines on the wire, in place.

A record shorter than 128 octets has a header of two octets, and a line on the wire ends in two octets: CR LF written
over each header turns a buffer of records into a buffer of lines, shifted by two. Runs of equal lengths, that is every
base64 attachment, are rewritten with two strided assignments (queue-file chapter 2, RFC 5321 section 4.5.2).
"""

LINE = 0x4E  #: ``N``: a line, or its last piece

_CRLF = b"\r\n"
_CARRIAGE_RETURN = 0x0D
_DASH = 0x2D
_DOT = 0x2E
#: A run of equal lengths is worth a strided assignment from this many records on.
_RUN_MIN = 8
_RUN_RETRY = 4096
#: From one record to the next, by length octet; there is no entry for lengths that take two octets.
_STEPS = tuple(range(2, 130))
_LONGEST_SHORT = _STEPS[-1]
#: Lines that are rewritten without a look at how much is left: many, and a few towards the end.
_BATCHES = (range(64), range(6))

#: Usually there are only a few: the lengths of lines with ten octets.
_LINE_FEEDS = range(200)

Pieces = list[tuple[int, int]]


def rewrite(
    buffer: bytearray, start: int, end: int, longest: int, stop_at_dashes: bool, *, look_for_dots: bool = False
) -> Pieces:
    """Rewrite as many whole lines as there are between `start`, where a record starts, and `end`.

    Args:
        buffer: at least two octets longer than `end`, which are no record where the data ends.
        longest: octets of text that need no folding, at least 127.
        stop_at_dashes: leave a line that starts with ``--`` and is longer than that.
        look_for_dots: stuff dots now; otherwise :func:`wire` does.

    Returns:
        the parts of the buffer that, one after the other, are the lines, each behind its CR LF. The last one ends where
        the first record begins that was not rewritten; none, if that is the one at `start`.
    """
    look_at_text = look_for_dots or stop_at_dashes
    position = begin = start
    last_length = -1
    retry_runs_at = 0
    pieces: Pieces = []
    if not look_at_text:
        position, retry_runs_at = _rewrite_short(buffer, start, end)
    while buffer[position] == LINE:
        length = buffer[position + 1]
        if length < 128:
            text = position + 2
            stop = text + length
            if stop > end:
                break
            if length == last_length and position >= retry_runs_at:
                run = _rewrite_run(buffer, position, end, length, stop_at_dashes, look_for_dots)
                if run:
                    position += run * (length + 2)
                    continue
                retry_runs_at = position + _RUN_RETRY
            last_length = length
            if look_at_text and length:
                first = buffer[text]
                if first == _DASH and stop_at_dashes and length > 2 and buffer[text + 1] == _DASH:
                    break
                if first == _DOT and look_for_dots:
                    pieces.append((begin, text + 1))
                    begin = text
            buffer[position] = 13
            buffer[position + 1] = 10
        else:
            high = buffer[position + 2]
            length = length & 127 | high << 7
            text = position + 3
            stop = text + length
            if high > 127 or length > longest or stop > end:
                break
            if stop_at_dashes and length > 2 and buffer[text] == _DASH and buffer[text + 1] == _DASH:
                break
            # This header is one octet longer than CR LF: leave out the first.
            if begin < position:
                pieces.append((begin, position))
            begin = position + 1
            buffer[position + 1] = 13
            buffer[position + 2] = 10
            if look_for_dots and length and buffer[text] == _DOT:
                pieces.append((begin, text + 1))
                begin = text
        position = stop
    if position > start:
        pieces.append((begin, position))
    return pieces


def _rewrite_short(buffer: bytearray, position: int, end: int) -> tuple[int, int]:
    """Rewrite lines shorter than 128 octets, as long as a whole batch of them certainly ends before `end`.

    This loop is most of what a message of text costs: nothing in it is there for rare cases.

    Returns:
        where the first record is that was not rewritten, and from where on to look for runs again.
    """
    line, steps = LINE, _STEPS
    retry_runs_at = 0
    try:
        for batch in _BATCHES:
            last = end - len(batch) * _LONGEST_SHORT
            while position < last:
                step = steps[buffer[position + 1]]
                if buffer[position + step + 1] == step - 2 and position >= retry_runs_at:
                    run = _rewrite_run(buffer, position, end, step - 2, False, False)
                    if run:
                        position += run * step
                        continue
                    retry_runs_at = position + _RUN_RETRY
                for _ in batch:
                    if buffer[position] != line:
                        return position, retry_runs_at
                    step = steps[buffer[position + 1]]
                    buffer[position] = 13
                    buffer[position + 1] = 10
                    position += step
    except IndexError:
        pass  # a line of 128 octets or more
    return position, retry_runs_at


def _rewrite_run(
    buffer: bytearray, position: int, end: int, length: int, stop_at_dashes: bool, look_for_dots: bool
) -> int:
    """Rewrite a run of records of the same length from `position` on; how many, 0 if that is not worth while."""
    stride = length + 2
    count = (end - position) // stride
    if count < _RUN_MIN:
        return 0
    probe = position + _RUN_MIN * stride
    length_octet = bytes((length,))
    if (
        buffer[position:probe:stride] != b"N" * _RUN_MIN
        or buffer[position + 1 : probe : stride] != length_octet * _RUN_MIN
    ):
        return 0
    stop = position + count * stride
    types = buffer[position:stop:stride]
    lengths = buffer[position + 1 : stop : stride]
    count -= max(len(types.lstrip(b"N")), len(lengths.lstrip(length_octet)))
    stop = position + count * stride
    if length and (stop_at_dashes or look_for_dots):
        firsts = buffer[position + 2 : stop : stride]
        for octet, matters in ((_DASH, stop_at_dashes), (_DOT, look_for_dots)):
            if matters and (index := firsts.find(octet, 0, count)) >= 0:
                count = index
    if count < _RUN_MIN:
        return 0
    stop = position + count * stride
    buffer[position:stop:stride] = b"\r" * count
    buffer[position + 1 : stop : stride] = b"\n" * count
    return count


def wire(buffer: bytearray, pieces: Pieces, *, dots_stuffed: bool) -> bytes:
    """The rewritten pieces, CR LF moved from before each line to after it, dots stuffed."""
    with memoryview(buffer) as view:
        slices: list[memoryview | bytes] = [view[left:right] for left, right in pieces]
        slices.append(_CRLF)
        lines = b"".join(slices)
    if not dots_stuffed and lines.find(b".") >= 0:
        lines = lines.replace(b"\r\n.", b"\r\n..")
    return lines[2:]


def find_stray_dot(buffer: bytearray, start: int, end: int) -> int:
    """Where CR LF ``.`` is in a buffer of records, that is inside a text; behind `end`: nowhere.

    There the rewritten lines do not tell which dots are at the start of one.
    """
    at = start - 1
    for _ in _LINE_FEEDS:  # one octet is found many times as fast as several
        at = buffer.find(b"\n", at + 1, end)
        if at < 0:
            return end + 1
        if buffer[at + 1] == _DOT and at > start and buffer[at - 1] == _CARRIAGE_RETURN:
            return at
    at = buffer.find(b"\r\n.", at, end)
    return at + 1 if at >= 0 else end + 1
