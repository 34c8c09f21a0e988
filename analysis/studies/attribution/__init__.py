"""Attribution over clips of many videos (``fima-analyze attribution``)."""
