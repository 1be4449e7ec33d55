"Say in one sentence which system library is missing, before anything fails deep inside an import."

import sys

try:
    import cv2
except ImportError as error:
    sys.exit(f"OpenCV cannot be loaded ({error}). On Debian or Ubuntu: sudo apt-get install libgl1 libglib2.0-0")
if not hasattr(cv2, "SIFT_create"):
    sys.exit(f"OpenCV {cv2.__version__} has no SIFT; is another OpenCV wheel installed over it?")
