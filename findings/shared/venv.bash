# Sourced by findings: a temp folder that ends with the script, and pinned packages in a virtual environment there.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# install REQUIREMENT...
install() {
    python3 -m venv venv
    venv/bin/python -m pip install --quiet --disable-pip-version-check --root-user-action ignore "$@"
}
