# shellcheck shell=sh
# Installs what ./run and ./test need, into a virtual environment: sourced by both, with $here set to the repository.
#
# What must hold: a finished install is never repeated (a stamp in the environment names everything it was made from),
# an interrupted one is begun again from nothing, two at once take turns, and standard output stays untouched, because
# it belongs to the command that is run afterwards.

venv=${NOSTRO_VENV:-$here/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
python=$venv/bin/python

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# installed LOCK_FILE: true when the environment was made from this lock file, here, by the Python it still has.
installed() {
    [ -x "$python" ] && [ -f "$venv/$1.stamp" ] && [ "$(cat "$venv/$1.stamp")" = "$(fingerprint "$1")" ]
}

fingerprint() {
    cksum <"$here/$1"
    cksum <"$here/requirements-uv.lock"
    cksum <"$here/.ci/install.sh"
    printf '%s\n' "$here" "$(readlink -f "$python")"
}

# install LOCK_FILE: make it so.
install() {
    installed "$1" && return
    mkdir -p "$venv" || die "The directory $venv cannot be written; name another one in NOSTRO_VENV."
    take_turn
    if ! installed "$1"; then # while we waited, the other one may have done it
        say "Installing what Nostro needs into $venv (only this once) ..."
        rm -f "$venv"/*.stamp
        [ ! -e "$venv/unfinished" ] || forget_environment
        : >"$venv/unfinished"
        : >"$venv/install.log"
        make_environment
        install_packages "$1"
        printf '%s\n' "$here/src" >"$("$python" -c 'import site; print(site.getsitepackages()[0])')/nostro-src.pth"
        # Each of them has everything that those before it have.
        for lock in requirements.lock requirements-brokers.lock requirements-test.lock; do
            fingerprint "$lock" >"$venv/$lock.stamp"
            [ "$lock" != "$1" ] || break
        done
        rm -f "$venv/unfinished"
    fi
    end_turn
}

# quietly COMMAND ...: nobody wants to read what an installer says, until it fails.
quietly() { "$@" >>"$venv/install.log" 2>&1 </dev/null; }

give_up() {
    cat "$venv/install.log" >&2
    die "$*"
}

# --- one at a time ---------------------------------------------------------------------------------------------

take_turn() {
    if command -v flock >/dev/null; then
        exec 9>"$venv/lock"
        flock 9
        return
    fi
    # Without flock a directory is the lock; one whose maker is gone is taken away.
    until mkdir "$venv/lock.d" 2>/dev/null; do
        if abandoned "$venv/lock.d"; then rm -rf "$venv/lock.d"; else sleep 1; fi
    done
    echo $$ >"$venv/lock.d/pid"
    trap 'rm -rf "$venv/lock.d"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# Its maker is gone, or was killed before it could say who it was.
abandoned() {
    owner=$(cat "$1/pid" 2>/dev/null || true)
    if [ -n "$owner" ]; then ! kill -0 "$owner" 2>/dev/null; else [ -n "$(find "$1" -prune -mmin +1 2>/dev/null)" ]; fi
}

end_turn() {
    exec 9>&- # the command that follows must not keep the lock
    rm -rf "$venv/lock.d"
    trap - EXIT INT TERM
}

# --- a virtual environment -------------------------------------------------------------------------------------

forget_environment() { rm -rf "$venv/bin" "$venv/lib" "$venv/lib64" "$venv/include" "$venv/share" "$venv/tools" "$venv/pyvenv.cfg"; }

make_environment() {
    quietly "$python" -m pip --version && recent_enough "$python" && return
    forget_environment
    find_python || { apt_install python3 python3-venv && find_python; } ||
        die "Nostro needs Python 3.11 or newer: install it (Debian: apt-get install python3 python3-venv), or name it in NOSTRO_PYTHON."
    quietly "$base" -m venv "$venv" && return
    # Debian keeps the part of Python that makes environments in a package of its own.
    forget_environment
    apt_install python3-venv "$(basename "$(readlink -f "$base")")-venv" || apt_install python3-venv || true
    quietly "$base" -m venv "$venv" ||
        give_up "Python cannot make a virtual environment: install Debian's python3-venv (apt-get install python3-venv) and start again."
}

# The tested version first; a version manager's shim may exist and still not run.
find_python() {
    if [ -n "${NOSTRO_PYTHON:-}" ]; then
        recent_enough "$NOSTRO_PYTHON" || die "NOSTRO_PYTHON is $NOSTRO_PYTHON, which is not a Python of version 3.11 or newer."
        base=$NOSTRO_PYTHON
        return
    fi
    # What a version manager has built is seldom optimised by profile, as Debian's own is, and a tenth to a quarter slower.
    case $(command -v python3.11 || true) in
        */shims/*)
            base=/usr/bin/python3.11
            ! { recent_enough "$base" && quietly "$base" -c 'import ensurepip'; } || return 0
            ;;
    esac
    for base in python3.11 python3 python3.12 python3.13 python3.14; do
        ! recent_enough "$base" || return 0
    done
    return 1
}

recent_enough() { quietly "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }

# apt_install PACKAGE ...: false where we may not, or where apt does not know them.
apt_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "Installing $* with apt-get ..."
    quietly apt-get update
    quietly env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# --- packages --------------------------------------------------------------------------------------------------

# uv takes seconds where pip takes half a minute; pip is always there. Both check every file against its hash.
install_packages() {
    if quietly uv_sync "$1"; then return; fi
    say "uv could not do it; trying pip, which takes a little longer ..."
    quietly "$python" -m pip install --disable-pip-version-check --require-hashes -r "$here/$1" ||
        give_up "The packages could not be installed: see above, most likely the package registry was not reachable."
    quietly "$python" -m compileall -q "$venv/lib" || true
}

# In a shell of its own: what uv is told is not for the command that follows.
uv_sync() (
    uv=$venv/tools/bin/uv
    rm -rf "$venv/tools"
    "$python" -m pip install --disable-pip-version-check --no-compile --only-binary :all: --require-hashes \
        --target "$venv/tools" -r "$here/requirements-uv.lock" || exit 1
    # What pip was told about this network, uv should know as well.
    told=$("$python" -m pip config list 2>/dev/null || true)
    index=$(told_by_pip index-url)
    certificates=$(told_by_pip cert)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
    UV_PYTHON_DOWNLOADS=never "$uv" pip sync --no-config --no-progress --compile-bytecode --require-hashes \
        --python "$python" "$here/$1"
)

# told_by_pip NAME: its environment comes first in the list, as it does in pip's judgement.
told_by_pip() {
    printf '%s\n' "$told" | sed -n -e "s/^:env:\.$1='\(.*\)'\$/\1/p" -e "s/^global\.$1='\(.*\)'\$/\1/p" | sed 1q
}
