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
    "$2" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore "${@:3}"
}

# cpython 3.11|3.14|3.14t|3.15: path of that CPython; `scripts/pythons` builds it where it is absent.
cpython() {
    "$scripts/pythons" "$1" 2>/dev/null | cut -d' ' -f2
}
