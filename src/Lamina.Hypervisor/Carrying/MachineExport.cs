// Writes a machine of the store as one file. What belongs to this host alone (shared folders, interfaces, sockets) is left out, and said.
using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Lamina.Backends.Disk;
using Lamina.Hypervisor.Archives;
using Lamina.Hypervisor.Stored;
using Lamina.Images.Bios;

namespace Lamina.Hypervisor.Carrying;

/// <summary>Exports machines.</summary>
public static class MachineExport
{
    /// <summary>Writes a machine.</summary>
    /// <param name="store">Its store.</param>
    /// <param name="name">Its name; it must not run.</param>
    /// <param name="output">Takes the archive.</param>
    /// <param name="scratch">For disks that lie elsewhere, while they are copied.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Sentences about what is left out.</returns>
    /// <exception cref="MachineException">There is no such machine, or it runs.</exception>
    /// <exception cref="IOException">Something cannot be read or written.</exception>
    public static IReadOnlyList<string> Write(MachineStore store, string name, Stream output, ExportScratch scratch, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(scratch);
        return store.WhileOff(name, "export", (home, definition) =>
        {
            var plan = new Plan(home, definition, scratch.Path, cancellationToken);
            using var packed = new GZipStream(output, CompressionLevel.Fastest, leaveOpen: true);
            using var archive = new TarWriter(packed, TarEntryFormat.Gnu, leaveOpen: true);
            Write(archive, plan, home.Name, cancellationToken);
            return plan.Notes;
        });
    }

    private static void Write(TarWriter archive, Plan plan, string name, CancellationToken cancellationToken)
    {
        var digests = new StringBuilder();
        Add(CarriedSpec.Mark, new MemoryStream(Encoding.UTF8.GetBytes($"{{ \"{CarriedSpec.Mark}\": {CarriedSpec.Format}, \"name\": \"{name}\" }}\n")));
        Add(CarriedSpec.Definition, new MemoryStream(DefinitionJson.Write(plan.Definition)));
        foreach (var (entry, path) in plan.Files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Add(entry, new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        }
        Add(CarriedSpec.Digests, new MemoryStream(Encoding.ASCII.GetBytes(digests.ToString())));

        void Add(string entry, Stream content)
        {
            using var owned = content;
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            // The same machine makes the same archive.
            archive.WriteEntry(new GnuTarEntry(TarEntryType.RegularFile, entry) { Mode = (UnixFileMode)0b110_000_000, ModificationTime = DateTimeOffset.UnixEpoch, DataStream = new HashedStream(content, hash) });
            digests.Append(Convert.ToHexStringLower(hash.GetHashAndReset())).Append("  ").Append(entry).Append('\n');
        }
    }

    // What goes into the archive, under which names; and the definition that says so.
    private sealed class Plan
    {
        private readonly List<(string Entry, string Path)> _files = [];
        private readonly List<string> _notes = [];

        internal Plan(MachineHome home, MachineDefinition definition, string scratch, CancellationToken cancellationToken)
        {
            var boot = definition.Boot;
            var hasKernel = File.Exists(home.Kernel);
            if ((hasKernel ? home.Kernel : boot.KernelPath) is { } kernel) _files.Add((CarriedSpec.Kernel, kernel));
            if ((hasKernel ? File.Exists(home.Initrd) ? home.Initrd : null : boot.InitrdPath) is { } initrd) _files.Add((CarriedSpec.Initrd, initrd));
            // One that is fetched is fetched there, too.
            var firmware = boot.Firmware is { } named && !BootSource.IsFirmwareName(named) ? named : null;
            if (firmware is not null) _files.Add((CarriedSpec.Firmware, firmware));
            if (firmware is not null && FirmwareStore.VariablesPathOf(firmware) is { } begins) _files.Add((CarriedSpec.FirmwareVariables, begins));
            for (var i = 0; i < boot.Modules.Count; i++) _files.Add((CarriedSpec.Module(i), boot.Modules[i].Path));
            foreach (var path in (IEnumerable<string>)[home.Base, .. home.Layers, home.Disk, home.Seed])
                if (File.Exists(path)) _files.Add((Path.GetFileName(path), path));
            // By a copy: what lies in the folder of its process may be a link to anything.
            MachineVariables.Keep(home, Path.Combine(scratch, CarriedSpec.Variables));
            if (File.Exists(Path.Combine(scratch, CarriedSpec.Variables))) _files.Add((CarriedSpec.Variables, Path.Combine(scratch, CarriedSpec.Variables)));
            if (definition.Lock == LockMode.Off) _notes.Add("its process is locked where it is imported, whatever its lock is here");
            var names = definition.Complete().Devices;
            var devices = definition.Devices.Select((device, index) => Carried(device, names[index].Name, scratch, cancellationToken)).OfType<DeviceDefinition>().ToList();
            Definition = definition with
            {
                Name = null,
                CodeArchive = null,
                Display = null,
                GdbPort = null,
                GdbArchitecture = default,
                Lock = definition.Lock == LockMode.Off ? LockMode.On : definition.Lock,
                Boot = boot with
                {
                    KernelPath = boot.KernelPath is null ? null : CarriedSpec.Kernel,
                    InitrdPath = boot.InitrdPath is null ? null : CarriedSpec.Initrd,
                    Firmware = firmware is null ? boot.Firmware : CarriedSpec.Firmware,
                    Modules = [.. boot.Modules.Select((module, index) => module with { Path = CarriedSpec.Module(index) })],
                },
                Devices = devices,
            };
        }

        internal IReadOnlyList<(string Entry, string Path)> Files => _files;

        internal IReadOnlyList<string> Notes => _notes;

        internal MachineDefinition Definition { get; }

        // Null for what is not carried.
        private DeviceDefinition? Carried(DeviceDefinition device, string name, string scratch, CancellationToken cancellationToken)
        {
            switch (device)
            {
                case DiskDevice disk:
                    return Carried(disk, $"disk-{name}.qcow2", scratch, cancellationToken);
                case CdromDevice { Path.Length: > 0 } cdrom:
                    _notes.Add($"the disc {cdrom.Path} is this host's, and the drive {name} is empty");
                    return cdrom with { Path = "" };
                case FloppyDevice floppy:
                    _notes.Add($"the floppy disk {floppy.Path} is this host's and is left out with its drive");
                    return null;
                case ShareDevice share:
                    _notes.Add($"the shared folder {share.Path} ({share.Tag}) is this host's and is left out");
                    return null;
                case NetworkDevice { Link: not NetworkLink.User } card:
                    _notes.Add($"the card {name} is plugged into a network of its own, instead of this host's");
                    return card with { Link = new NetworkLink.User() };
                case VsockDevice vsock:
                    return vsock with { Path = CarriedSpec.Sockets };
                case SerialDevice { To: not (ConsoleTarget.Stdio or ConsoleTarget.Null) }:
                    _notes.Add($"the serial port {name} leads to the machine's log, instead of this host's files");
                    return null;
                case ConsoleDevice { To: not ConsoleTarget.Null }:
                    _notes.Add($"the console {name} leads nowhere, instead of this host's files");
                    return null;
                case ChannelDevice { Path.Length: > 0 } channel:
                    _notes.Add($"the channel {channel.Port} has no socket of this host's any more");
                    return channel with { Path = "" };
                default:
                    return device;
            }
        }

        // Flat and dense, whatever it is here.
        private DiskDevice Carried(DiskDevice disk, string entry, string scratch, CancellationToken cancellationToken)
        {
            var copy = Path.Combine(scratch, entry);
            MachineDisks.Copy(disk, copy, cancellationToken);
            _files.Add((entry, copy));
            return disk with { Path = entry, Format = ImageFormat.Qcow2, Backing = [], Aio = AioMode.Auto, Direct = false, Tls = null, Reconnect = null };
        }
    }
}
