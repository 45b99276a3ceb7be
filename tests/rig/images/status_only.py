"""The image `status-only`: a pod that is nothing but its status, for tests with thousands of them."""

from __future__ import annotations

from tests.rig.images.image import Image

STATUS_ONLY = Image("status-only", tree=None, entrypoint=(), start_delay_s=0.2)
