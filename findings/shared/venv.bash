# Sourced by findings: a temp folder that ends with the script, and pinned packages in a virtual environment there.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../scripts" && pwd)
cd "$work"

# install REQUIREMENT...
install() {
    install_into venv python3 "$@"
}

# install_into FOLDER PYTHON REQUIREMENT...
install_into() {
    # Without a pip of its own, which is most of the work, where the other Python has one.
    if "$2" -m pip --version >/dev/null 2>&1; then
        "$2" -m venv --without-pip "$1"
        "$2" -m pip --python "$1/bin/python" install --quiet --disable-pip-version-check --root-user-action ignore "${@:3}"
    else
        "$2" -m venv "$1"
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore "${@:3}"
    fi
}

# cpython 3.11|3.14|3.14t|3.15: path of that CPython; `scripts/pythons` builds it where it is absent.
cpython() {
    "$scripts/pythons" "$1" 2>/dev/null | cut -d' ' -f2
}
