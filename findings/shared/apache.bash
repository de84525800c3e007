# Sourced by findings about Apache: shared/server.bash and Debian's httpd, unpacked in the temp folder. Needs apt's own lists.

. "$(dirname "${BASH_SOURCE[0]}")/server.bash"
python=python3
apt-get -qq -o APT::Sandbox::User=root download apache2-bin=2.4.71-1~deb12u1 libapr1 libaprutil1
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(echo "$work"/root/usr/lib/*-linux-gnu*)
httpd=$work/root/usr/sbin/apache2
"$httpd" -v | head -1

# configure MODULE... <lines: writes httpd.conf, and files/page.html for it to serve. Apache leaves root for `nobody`.
configure() {
    chmod 755 "$work"
    mkdir -p files
    echo '<p>page</p>' >files/page.html
    {
        for module in mpm_event authz_core "$@"; do
            echo "LoadModule ${module}_module $work/root/usr/lib/apache2/modules/mod_$module.so"
        done
        printf '%s\n' "ServerRoot $work" "DefaultRuntimeDir $work" "PidFile $work/pid" "ErrorLog $work/error.log" \
            "DocumentRoot $work/files" "Listen 127.0.0.1:$port" "ServerName site.example" "User nobody" "Group nogroup"
        cat
    } >httpd.conf
}
