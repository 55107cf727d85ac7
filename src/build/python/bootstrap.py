import os
import sys


def prepare(site, digest):
    """Makes the modules of this archive the only ones beside those of Python itself.

    site: whether packages that are installed on this machine may be imported, too.
    digest: names the content; the archive is unpacked where it can't be imported from as it is, and is None else.
    """
    if not site:
        sys.path[:] = [path for path in sys.path if os.path.basename(path) not in ("site-packages", "dist-packages")]
    if digest is not None:
        sys.path[0] = unpacked(sys.path[0], digest)


def unpacked(archive, digest):
    import shutil
    import tempfile
    import zipfile

    def extract(folder):
        with zipfile.ZipFile(archive) as files:
            files.extractall(folder)

    # A test keeps it where it runs, a program in the user's cache, where it finds it the next time.
    above = os.environ.get("TMP_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "banksman-pyz"
    )
    folder = os.path.join(above, digest)
    if os.path.isdir(folder):
        return folder
    try:
        os.makedirs(above, mode=0o700, exist_ok=True)
        made = tempfile.mkdtemp(prefix=digest + ".", dir=above)
    except OSError:
        import atexit

        made = tempfile.mkdtemp(prefix="pyz-")
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        extract(made)
        return made
    extract(made)
    try:
        os.rename(made, folder)
    except OSError:
        # Another process was faster.
        shutil.rmtree(made, ignore_errors=True)
    return folder


