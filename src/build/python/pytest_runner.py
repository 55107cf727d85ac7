# Runs the tests of a python_test with pytest, which has to be among its deps. `main` is called with the paths of the test files.


def main(paths):
    try:
        import pytest
    except ImportError:
        print("there is no pytest among the deps of this test: add a pip_library of it, with what it needs", file=sys.stderr)
        sys.exit(1)
    root = sys.path[0]
    results = os.path.abspath(os.environ["RESULTS_FILE"])
    arguments = ["--junitxml", results, "--rootdir", root, "-p", "no:cacheprovider", "--color=no"]
    code = pytest.main([*arguments, *sys.argv[1:], *[os.path.join(root, path) for path in paths]])
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        print("no test found: write functions whose names begin with test_", file=sys.stderr)
    sys.exit(int(code))


