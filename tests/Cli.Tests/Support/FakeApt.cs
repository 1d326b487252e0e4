// A package manager made of shell scripts: it has the packages that "tiny" needs, with a kernel of a few bytes and a compiler that makes no program, and can
// be told to fail or to take its time. What the real one says was copied from it word by word.
namespace Lamina.Tests.Cli.Support;

internal sealed class FakeApt
{
    private readonly TemporaryFolder _folder;

    public FakeApt(TemporaryFolder folder)
    {
        _folder = folder;
        var modules = folder.Folder("packages/kernel/lib/modules/6.1-test/kernel/drivers");
        File.WriteAllBytes(Path.Combine(modules, "virtio_ring.ko"), ModuleFile.Create("virtio_ring"));
        File.WriteAllBytes(Path.Combine(modules, "virtio.ko"), ModuleFile.Create("virtio", "virtio_ring"));
        File.WriteAllBytes(Path.Combine(modules, "virtio_mmio.ko"), ModuleFile.Create("virtio_mmio", "virtio,virtio_ring", "acpi*:LNRO0005:*"));
        File.WriteAllBytes(Path.Combine(modules, "virtio-rng.ko"), ModuleFile.Create("virtio_rng", "virtio,virtio_ring"));
        File.WriteAllBytes(Path.Combine(modules, "virtio_console.ko"), ModuleFile.Create("virtio_console", "virtio_ring,virtio"));
        folder.Folder("packages/kernel/boot");
        File.WriteAllText(folder.File("packages/kernel/boot/vmlinuz-6.1-test"), "not really a kernel\n");
        folder.Script("packages/busybox/bin/busybox", "#!/bin/sh\nprintf 'bin/sh\\nusr/bin/env\\nsbin/linuxrc\\nopt/odd\\n'\n");
        folder.Script("packages/tcc/usr/bin/tcc", """
            #!/bin/sh
            while [ "$1" != -o ]; do shift; done
            echo agent >"$2"

            """);
        folder.Folder("packages/musl/usr/lib");
        folder.Script("bin/apt-cache", """
            #!/bin/sh
            for package; do case $package in
              linux-image-cloud-amd64) printf 'Package: %s\nVersion: 6.1.9-1\nDepends: linux-image-6.1-test (= 6.1.9-1)\nSize: 10\nSHA256: aa\n\n' "$package";;
              linux-image-6.1-test) printf 'Package: %s\nVersion: 6.1.9-1\nDepends: kmod, linux-base (>= 4.3~)\nSize: 2000000\nSHA256: bb\n\n' "$package";;
              tcc | musl-dev) printf 'Package: %s\nVersion: 1-2\nSize: 300000\nSHA256: dd\n\n' "$package";;
              busybox-static) printf 'Package: %s\nVersion: 1:1.35.0-4+deb12u1\nSize: 900000\nSHA256: cc\n\n' "$package";;
            esac; done

            """);
        Behave();
        folder.Script("bin/dpkg-deb", """
            #!/bin/sh
            [ "$1" = -x ] || exit 2
            case $2 in *linux-image*) from=kernel;; *tcc*) from=tcc;; *musl*) from=musl;; *) from=busybox;; esac
            exec /bin/cp -R "$(dirname "$0")/../packages/$from/." "$3"

            """);
    }

    /// <summary>The environment in which this package manager is the only one.</summary>
    public Dictionary<string, string?> Environment => new()
    {
        ["PATH"] = $"{_folder.File("bin")}:/usr/bin:/bin",
        ["XDG_CACHE_HOME"] = _folder.File("cache"),
    };

    public string Images => _folder.File("cache/lamina/images");

    /// <summary>How often something was fetched.</summary>
    public int Downloads => File.Exists(_folder.File("downloads")) ? File.ReadAllLines(_folder.File("downloads")).Length : 0;

    /// <summary>Sets what apt-get does before it fetches a package: shell commands.</summary>
    public void Behave(string commands = ":") => _folder.Script("bin/apt-get", $$"""
        #!/bin/sh
        for word; do last=$word; done
        case " $* " in *" download "*) ;; *) echo "E: no such list" >&2; exit 100;; esac
        echo "$last" >>'{{_folder.File("downloads")}}'
        echo dlstatus:1:10.0:Retrieving file 1 of 1
        {{commands}}
        echo package >"${last%%=*}_1_amd64.deb"

        """);
}
