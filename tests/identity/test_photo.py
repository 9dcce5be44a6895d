import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from id2head_core.errors import PhotoError
from id2head_core.identity import photo
from id2head_core.identity.photo import decode

WIDTH, HEIGHT = 160, 120


def picture(mode="RGB") -> Image.Image:
    """Left half red, right half blue, upper quarter white: no symmetry."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, : WIDTH // 2] = 200, 30, 30
    pixels[:, WIDTH // 2 :] = 30, 30, 200
    pixels[: HEIGHT // 4] = 250
    return Image.fromarray(pixels).convert(mode)


def encoded(image, kind, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def assert_upright(pixels, tolerance=12):
    assert pixels.shape == (HEIGHT, WIDTH, 3) and pixels.dtype == np.uint8
    for row, column, colour in ((100, 20, (200, 30, 30)), (100, 140, (30, 30, 200)), (8, 80, 250)):
        assert np.abs(pixels[row, column].astype(int) - colour).max() <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "MPO"])
def test_formats(kind):
    decoded = decode(encoded(picture(), kind, **({} if kind == "PNG" else {"quality": 95})))
    assert_upright(decoded.pixels)
    assert decoded.source_format == ("JPEG" if kind == "MPO" else kind)
    assert decoded.size == (WIDTH, HEIGHT)


def test_first_frame_of_a_gif():
    other = Image.new("RGB", (WIDTH, HEIGHT), (0, 255, 0))
    assert_upright(decode(encoded(picture(), "GIF", save_all=True, append_images=[other])).pixels)


@pytest.mark.parametrize(
    ("mode", "kind"), [("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP")]
)
def test_modes(mode, kind):
    assert_upright(decode(encoded(picture(mode), kind)).pixels, 60 if mode == "P" else 20)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grayscale(mode):
    pixels = decode(encoded(picture(mode), "PNG")).pixels
    assert (pixels == pixels[..., :1]).all()
    assert pixels[5, 5, 0] > pixels[100, 10, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_png(channels):
    values = np.linspace(0, 65535, WIDTH).astype(np.uint16)
    image = np.broadcast_to(values, (HEIGHT, WIDTH))
    image = np.repeat(image[..., None], channels, -1)
    pixels = decode(cv2.imencode(".png", image)[1].tobytes()).pixels
    assert np.abs(pixels[0, :, 1].astype(int) - values / 257).max() <= 1


def test_dark_16_bit_png_stays_dark():
    image = np.full((HEIGHT, WIDTH), 2000, np.uint16)
    assert decode(cv2.imencode(".png", image)[1].tobytes()).pixels.max() == 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind, orientation):
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM], 5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }  # fmt: skip
    image = picture()
    for step in undo.get(orientation, []):
        image = image.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_upright(decode(encoded(image, kind, exif=exif.tobytes())).pixels, 16)


def test_transparency_is_grey():
    image = picture("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (decode(encoded(image, "PNG")).pixels == photo.BACKDROP).all()


def test_transparent_colour_of_a_palette():
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([10, 200, 10, 0, 0, 0])
    assert (decode(encoded(image, "PNG", transparency=0)).pixels == photo.BACKDROP).all()


def swapped_profile() -> bytes:
    """The sRGB profile with the primaries red and green exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "sXYZ".encode("utf-16-be"))
    profile = profile.replace(b"rXYZ", b"####", 1).replace(b"gXYZ", b"rXYZ", 1)
    return profile.replace(b"####", b"gXYZ", 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_colour_profile_is_applied(kind):
    pixels = decode(encoded(picture(), kind, icc_profile=swapped_profile())).pixels
    assert pixels[100, 20, 1] > 180 and pixels[100, 20, 0] < 80  # red became green


def test_broken_profile_is_ignored():
    assert_upright(decode(encoded(picture(), "PNG", icc_profile=b"nonsense")).pixels)


def test_large_photo_is_scaled_down():
    decoded = decode(encoded(picture().resize((4000, 3000)), "JPEG"))
    assert decoded.size == (2048, 1536)
    assert np.abs(decoded.pixels[1400, 200].astype(int) - (200, 30, 30)).max() < 12


def test_path_and_bytes_agree(tmp_path):
    file = tmp_path / "photo.with.dots"
    file.write_bytes(encoded(picture(), "PNG"))
    assert (decode(file).pixels == decode(str(file)).pixels).all()
    with pytest.raises(PhotoError, match="no file .*gone.jpg"):
        decode(tmp_path / "gone.jpg")
    with pytest.raises(PhotoError, match="cannot be read"):
        decode(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"just some words that are long enough to be a file", "not an image"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "a video"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"PK\x03\x04", "an archive"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 200, "not an image, or its beginning is damaged"),
    ],
)
def test_refused_content(data, message):
    with pytest.raises(PhotoError, match=message):
        decode(data)


@pytest.mark.parametrize(("kind", "name"), [("TIFF", "TIFF"), ("BMP", "BMP")])
def test_refused_formats(kind, name):
    with pytest.raises(PhotoError, match=f"a {name}.*Use a JPEG"):
        decode(encoded(picture(), kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_truncated_files_are_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(PhotoError):
        decode(data[: int(len(data) * share)])


def test_too_many_bytes():
    with pytest.raises(PhotoError, match=r"has 21\.0 MB; the limit is 20 MB"):
        decode(b"\xff\xd8" + b"\0" * (21 * 2**20))


def test_pixel_limit_comes_before_decoding(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    data = encoded_header(9000, 6000)
    with pytest.raises(PhotoError, match="9000 x 6000 pixels; the limit is 50 million"):
        decode(data)


@pytest.mark.parametrize("side", [20_000, 60_000])
def test_decompression_bomb(side):
    with pytest.raises(PhotoError, match="million"):
        decode(encoded_header(side, side))


def encoded_header(width, height) -> bytes:
    """A PNG of the size that it claims to have, without its pixels."""
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + data + struct.pack(">I", zlib.crc32(b"IHDR" + data))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + b"\0" * 16


def test_thumbnails_are_refused():
    with pytest.raises(PhotoError, match="only 60 x 200 pixels; each side needs at least 96"):
        decode(encoded(picture().resize((60, 200)), "PNG"))
    with pytest.raises(PhotoError, match="each side needs at least 96"):
        decode(encoded(picture().resize((8000, 100)), "JPEG"))
