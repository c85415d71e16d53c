#!/usr/bin/env bash
# Builds the base images of docker-compose.yaml and the Dockerfile from Debian's packages, under the very tags that
# those files name, for machines that reach no container registry. They stand in for the official images: the same
# users, folders, variables and commands, as far as Nightcast uses them.
#
#   tests/compose/base_images.sh
#
# An image whose tag is there already is left alone. How pip and apt reach their packages on this machine (pip's
# variables and settings, the certificates) goes into the stand-ins, so that `docker build` finds it.
set -euo pipefail
cd "$(dirname "$0")/base_images"
suite=trixie
debian=nightcast-test/debian:$suite
project=../../..

tag_of() { # the image that a file of the project names, by its beginning
    grep -ohE "$1:[A-Za-z0-9._-]+" $project/Dockerfile $project/docker-compose.yaml | sort -u | head -n 1
}

there() { docker image inspect "$1" > /dev/null 2>&1; }

import_debian() {
    local root change=() name
    root=$(mktemp -d)
    trap 'rm -rf "$root"' RETURN
    debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata "$suite" "$root" > "$root.log" 2>&1 \
        || { tail "$root.log" >&2; return 1; }
    rm -f "$root.log" "$root"/var/cache/apt/archives/*.deb
    cat /etc/ssl/certs/ca-certificates.crt > "$root/etc/ssl/certs/ca-certificates.crt"
    python3 -m pip config list 2> /dev/null | sed -n "s/^global\.\(index-url\|trusted-host\|cert\)='\(.*\)'$/\1 = \2/p" \
        | sed '1i [global]' > "$root/etc/pip.conf"
    for name in PIP_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT UV_INDEX_URL UV_DEFAULT_INDEX SSL_CERT_FILE; do
        [ -z "${!name:-}" ] || change+=(--change "ENV $name=${!name}")
    done
    tar -C "$root" -c . | docker import "${change[@]}" - "$debian" > /dev/null
}

build() { # the tag, the stand-in's folder, and the package whose version the tag must name
    local tag=$1 folder=$2 package=$3 series found
    there "$tag" && return
    echo "building $tag from Debian $suite"
    docker build --quiet --network host --build-arg "DEBIAN=$debian" --tag "$tag" "$folder" > /dev/null
    series=${tag#*:}
    series=${series%%-*}
    found=$(docker run --rm --entrypoint dpkg-query "$tag" -W -f '${Version}' "$package")
    case ${found#*:} in
        "$series" | "$series"[.+~-]*) ;;
        *) echo "$tag: Debian $suite has $package $found" >&2; docker rmi "$tag" > /dev/null; return 1 ;;
    esac
}

there "$debian" || import_debian
build "$(tag_of python)" python python3
build "$(tag_of postgres)" postgres postgresql
build "$(tag_of valkey/valkey)" valkey valkey-server
