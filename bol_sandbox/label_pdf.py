"""Draws a label as a PDF of one page, 10 by 15 centimetres."""

from __future__ import annotations

WIDTH, HEIGHT = 283, 425
MARGIN, LINE_HEIGHT = 20, 18


def draw(title: str, lines: list[str]) -> bytes:
    """Make the file: catalogue, page, text and font, and the table of where each begins (PDF 1.4, ISO 32000)."""
    text = _text(title, lines)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>" % (WIDTH, HEIGHT),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    file = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    begins = []
    for number, content in enumerate(objects, 1):
        begins.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for begin in begins:
        file += b"%010d 00000 n \n" % begin
    file += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(file)


def _text(title: str, lines: list[str]) -> bytes:
    frame = b"1.5 w 10 10 %d %d re S\n" % (WIDTH - 20, HEIGHT - 20)
    start = b"BT /F1 16 Tf %d %d Td (%s) Tj /F1 10 Tf" % (MARGIN, HEIGHT - 50, _escaped(title))
    below = b"".join(b" 0 -%d Td (%s) Tj" % (LINE_HEIGHT, _escaped(line)) for line in lines)
    return frame + start + below + b" ET"


def _escaped(text: str) -> bytes:
    return text.translate({ord(c): f"\\{c}" for c in "()\\"}).encode("cp1252", "replace")
