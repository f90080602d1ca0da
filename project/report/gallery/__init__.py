"""The gallery of a run: pictures of some of its images, and what lets a page browse them.

Files of ``gallery/``
    originals/INDEX/clean.png                  the clean image, 8-bit RGB, once for all attacks
    originals/INDEX/target.png                 segmentation: class ids, 255 = void
    originals/INDEX/predictions/SOURCE.png     segmentation: the source's classes of the clean image
    ATTACK/SOURCE/INDEX/adversarial.png        the image attacked, 8-bit RGB
    ATTACK/SOURCE/INDEX/flow.npy               optional, (2, H, W) in pixels, (dx, dy)
    ATTACK/SOURCE/INDEX/mask.png               optional, 8-bit grey
    ATTACK/SOURCE/INDEX/prediction_adversarial.png    segmentation: the source's classes of it
    catalogue.js, catalogue-00.js, …           what the page knows of all pictured samples

Beside each file lies what is drawn from it for a browser (:mod:`project.report.gallery.drawings`).
Older runs have all files of a sample in ``ATTACK/SOURCE/INDEX``, with ``prediction_clean.png``.
"""

from project.report.gallery.sample import Picture, Sample, samples
from project.report.gallery.writer import Attacked, GalleryKeeper

__all__ = ["Attacked", "GalleryKeeper", "Picture", "Sample", "samples"]
