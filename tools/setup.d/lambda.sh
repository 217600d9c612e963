# What the static bootstrap of the Lambda function is made of; read by tools/setup, which brings say, die, put and $work, $deps.
#
#   deps/lambda/amd64/, arm64/   include/, lib/*.a of the target: OpenSSL, c-ares, libdeflate, zlib, libfyaml, PCRE2 as Debian
#                                has them, and libcurl, HTTP only, from Debian's source package with its patches
#   deps/lambda/cross/           a compiler for the machine that this is not; deps/lambda/qemu runs its programs
#   deps/lambda/ca-bundle.crt    Mozilla's certificates as the package ca-certificates has them, without what was added here
#   deps/lambda/zoneinfo/        the zones of the package tzdata
#   deps/lambda/versions         of all these
#
# Nothing of it is installed: the packages are unpacked there. They are not pinned to a version: security updates are to come in,
# and Debian keeps no others. apt checks each by the release's signature; `versions` says what was taken.

LAMBDA_LIBRARIES="libssl-dev libc-ares-dev libdeflate-dev zlib1g-dev libfyaml-dev libpcre2-dev libzstd-dev"

lambda_apt() { # a configuration of its own, with sources and both architectures
	local apt=$work/apt-lambda
	mkdir -p "$apt/sources" "$apt/lists/partial" "$apt/cache/archives/partial"
	sed 's/^Types: *deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources >"$apt/sources/debian.sources"
	: >"$apt/status"
	cat >"$apt/apt.conf" <<-END
		Dir::State::Lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$apt/sources";
		Acquire::Languages "none";
		APT::Sandbox::User "";
		APT::Architectures { "$host_arch"; "$other_arch"; };
		APT::Update::Post-Invoke {};
		APT::Update::Post-Invoke-Success {};
	END
	export APT_CONFIG=$apt/apt.conf
	if ! apt-get -qq update >"$work/log" 2>&1; then
		tail -n 5 "$work/log" >&2
		return 1
	fi
}

lambda_unpack() { # FOLDER PACKAGE...
	local folder=$1 file
	shift
	mkdir -p "$folder" "$work/lambda-debs"
	rm -f "$work"/lambda-debs/*.deb
	if ! (cd "$work/lambda-debs" && apt-get -qq download "$@") >"$work/log" 2>&1; then
		tail -n 5 "$work/log" >&2
		return 1
	fi
	for file in "$work"/lambda-debs/*.deb; do
		dpkg-deb -x "$file" "$folder"
		dpkg-deb -W --showformat='${Package} ${Architecture} ${Version}\n' "$file" >>"$work/lambda/versions"
	done
}

lambda_cross() { # the compiler, as Debian's packages for crossing have it
	local tuple=$1 dash=$2 gcc
	gcc=$(apt-cache depends "gcc-$dash" | sed -n "s/.*Depends: \(gcc-[0-9]*\)-$dash\$/\1/p" | head -n 1)
	[[ -n $gcc ]] || return 1
	lambda_unpack "$work/lambda/cross" "$gcc-$dash" "cpp-${gcc#gcc-}-$dash" "binutils-$dash" "lib$gcc-dev-$other_arch-cross" \
		"libgcc-s1-$other_arch-cross" "libc6-dev-$other_arch-cross" "libc6-$other_arch-cross" "linux-libc-dev-$other_arch-cross" || return 1
	# The packages find each other below one folder, but for the libraries of their own machine.
	mkdir -p "$work/lambda/cross/bin"
	local tool
	for tool in gcc ar ranlib strip ld nm; do
		printf '#!/bin/sh\nhere=${0%%/bin/*}\nLD_LIBRARY_PATH=$here/usr/lib/%s exec "$here/usr/bin/%s-%s" "$@"\n' "$host_tuple" "$tuple" \
			"$([[ $tool = gcc ]] && echo "$gcc" || echo $tool)" >"$work/lambda/cross/bin/$tuple-$tool"
		chmod +x "$work/lambda/cross/bin/$tuple-$tool"
	done
}

lambda_curl_source() {
	local name
	(cd "$work" && apt-get -qq source --download-only curl) >"$work/log" 2>&1 || return 1
	mkdir "$work/curl"
	tar --no-same-owner -xf "$work"/curl_*.orig.tar.* -C "$work/curl" --strip-components=1 --exclude='*.asc' 2>/dev/null ||
		tar --no-same-owner -xzf "$work"/curl_*.orig.tar.gz -C "$work/curl" --strip-components=1
	tar --no-same-owner -xJf "$work"/curl_*.debian.tar.xz -C "$work/curl"
	while read -r name; do
		[[ -n $name && $name != \#* ]] || continue
		# Those of the distribution's own build (names of its two libraries) do not matter here, and need not fit.
		patch -s -f -d "$work/curl" -p1 <"$work/curl/debian/patches/${name%% *}" >>"$work/log" 2>&1 ||
			case $name in *CVE* | *cve*) say "curl: the patch $name does not apply" && return 1 ;; esac
	done <"$work/curl/debian/patches/series"
	basename "$work"/curl_*.dsc .dsc | tr _ ' ' | sed 's/ / source /' >>"$work/lambda/versions"
}

lambda_libraries() { # ARCHITECTURE TUPLE [CROSS]
	local arch=$1 tuple=$2 root=$work/lambda-root-$1 into=$work/lambda/$1 compiler=gcc tools=() packages=() p
	for p in $LAMBDA_LIBRARIES; do packages+=("$p:$arch"); done
	lambda_unpack "$root" "${packages[@]}" || return 1
	mkdir -p "$into/include" "$into/lib"
	cp -r "$root"/usr/include/. "$into/include/"
	[[ ! -d $into/include/$tuple ]] || { cp -r "$into/include/$tuple/." "$into/include/" && rm -r "${into:?}/include/$tuple"; }
	cp "$root/usr/lib/$tuple"/*.a "$into/lib/"
	if [[ -n ${3:-} ]]; then
		compiler=$work/lambda/cross/bin/$tuple-gcc
		tools=(-DCMAKE_SYSTEM_NAME=Linux "-DCMAKE_SYSTEM_PROCESSOR=${tuple%%-*}" "-DCMAKE_AR=${compiler%gcc}ar" "-DCMAKE_RANLIB=${compiler%gcc}ranlib"
			-DCMAKE_EXE_LINKER_FLAGS=-static)
	fi
	cmake -S "$work/curl" -B "$work/curl-$arch" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_C_COMPILER=$compiler" "${tools[@]}" \
		"-DCMAKE_C_FLAGS=-fPIC -ffunction-sections -fdata-sections -fstack-protector-strong -ffile-prefix-map=$work=." \
		"-DCMAKE_PREFIX_PATH=$into" "-DCMAKE_FIND_ROOT_PATH=$into" -DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY \
		"-DOPENSSL_ROOT_DIR=$into" "-DOPENSSL_INCLUDE_DIR=$into/include" "-DOPENSSL_CRYPTO_LIBRARY=$into/lib/libcrypto.a" "-DOPENSSL_SSL_LIBRARY=$into/lib/libssl.a" \
		-DOPENSSL_USE_STATIC_LIBS=ON "-DCARES_INCLUDE_DIR=$into/include" "-DCARES_LIBRARY=$into/lib/libcares.a" \
		-DBUILD_SHARED_LIBS=OFF -DBUILD_CURL_EXE=OFF -DBUILD_TESTING=OFF -DHTTP_ONLY=ON -DCURL_USE_OPENSSL=ON -DENABLE_ARES=ON -DUSE_NGHTTP2=OFF \
		-DCURL_USE_LIBSSH2=OFF -DCURL_USE_LIBPSL=OFF -DUSE_LIBIDN2=OFF -DCURL_ZLIB=OFF -DCURL_ZSTD=OFF -DCURL_BROTLI=OFF -DENABLE_MANUAL=OFF \
		-DENABLE_UNIX_SOCKETS=OFF -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none >"$work/log" 2>&1 &&
		cmake --build "$work/curl-$arch" >>"$work/log" 2>&1 || {
		tail -n 15 "$work/log" >&2
		return 1
	}
	cp "$work/curl-$arch/lib/libcurl.a" "$into/lib/"
	cp -r "$work/curl/include/curl" "$into/include/"
}

lambda_files() {
	local root=$work/lambda-files z
	lambda_unpack "$root" ca-certificates:all tzdata:all || lambda_unpack "$root" ca-certificates tzdata || return 1
	find "$root/usr/share/ca-certificates/mozilla" -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 cat >"$work/lambda/ca-bundle.crt"
	mkdir "$work/lambda/zoneinfo"
	(
		cd "$root/usr/share/zoneinfo"
		find . \( -name posix -o -name right -o -name localtime -o -name posixrules \) -prune -o \( -type f -o -type l \) -print | LC_ALL=C sort |
			while read -r z; do
				[[ $(head -c 4 "$z" 2>/dev/null | tr -d '\0') = TZif && $z != *.*.* ]] || continue
				mkdir -p "$work/lambda/zoneinfo/${z%/*}"
				cp -L "$z" "$work/lambda/zoneinfo/$z"
			done
	)
	[[ -f $work/lambda/zoneinfo/America/New_York ]] || die "tzdata: the zones are not where they were"
}

lambda_none() {
	say "no Lambda package can be built: $1"
	mkdir -p "$deps/lambda"
	echo "$1" >"$deps/lambda/none"
	unset APT_CONFIG
}

# Only `make lambda` and its tests need it: where it cannot be had, they say so.
lambda_make() {
	local cross
	rm -rf "$deps/lambda"
	if ! grep -q '^ID=debian' /etc/os-release || [[ ! -f /etc/apt/sources.list.d/debian.sources ]]; then
		lambda_none "its static libraries come from Debian, and this is another system"
		return
	fi
	case $machine in
	x86_64) host_arch=amd64 host_tuple=x86_64-linux-gnu other_arch=arm64 cross=aarch64-linux-gnu ;;
	aarch64) host_arch=arm64 host_tuple=aarch64-linux-gnu other_arch=amd64 cross=x86_64-linux-gnu ;;
	*) lambda_none "Lambda has no $machine" && return ;;
	esac
	mkdir "$work/lambda"
	: >"$work/lambda/versions"
	say "fetching and building the static libraries of the Lambda function"
	if ! lambda_apt || ! lambda_curl_source || ! lambda_libraries $host_arch $host_tuple || ! lambda_files; then
		lambda_none "the static libraries could not be made"
		return
	fi
	if lambda_cross $cross "${cross/_/-}" && lambda_libraries $other_arch $cross cross; then
		if lambda_unpack "$work/lambda-qemu" qemu-user-static; then
			cp "$work/lambda-qemu/usr/bin/qemu-${cross%%-*}-static" "$work/lambda/qemu"
		else
			say "qemu-user-static cannot be had: the package for $other_arch is built, but not tried"
		fi
	else
		rm -rf "$work/lambda/cross" "$work/lambda/$other_arch"
		say "the compiler for $other_arch cannot be had: only the package for $host_arch is built"
	fi
	unset APT_CONFIG
	LC_ALL=C sort -u -o "$work/lambda/versions" "$work/lambda/versions"
	put "$work/lambda" "$deps/lambda"
	python_packages "$deps/venv-lambda" requirements-lambda.txt ministack optional
}
