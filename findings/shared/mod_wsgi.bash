# Sourced by findings about mod_wsgi: shared/apache.bash, and mod_wsgi on CPython 3.14 in `venv`. Builds it, so needs Debian's headers.

. "$(dirname "${BASH_SOURCE[0]}")/apache.bash"
"$scripts/packages" apache2-dev build-essential
# mod_wsgi runs as `nobody`, who has to be able to read its Python; the one of a user's home would not do.
install_into venv "$(cpython 3.14)" mod_wsgi==6.1.1

# site MODULE... <lines: like configure, with mod_wsgi, a daemon process group `site`, and last the finding's app.wsgi there at `/`.
site() {
    configure alias "$@" < <(
        venv/bin/mod_wsgi-express module-config
        printf '%s\n' "WSGISocketPrefix $work/socket" "WSGIDaemonProcess site threads=2"
        cat
        echo "WSGIScriptAlias / $work/app.wsgi process-group=site"
    )
    chmod -R a+rX "$work"
}
