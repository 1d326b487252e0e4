// A disk of a machine: values only, and the words in which people give them. Opening it is the builder's work.
using System.Globalization;
using System.Text;
using Lamina.Backends.Disk;
using Lamina.Devices.Virtio.Block;

namespace Lamina;

/// <summary>A disk.</summary>
public sealed record DiskSpec
{
    /// <summary>The words that <see cref="Parse"/> knows, for help and completion.</summary>
    public static IReadOnlyList<(string Word, string Meaning)> Words { get; } =
    [
        ("ro", "read only"),
        ("format=raw|qcow2", "the image's format; found out where it is not given"),
        ("serial=TEXT", "what the guest finds it by, at most 20 bytes"),
        ("cache=MODE", "writeback (the default), writethrough, or unsafe: the host is never asked to write"),
        ("direct", "go past the host's page cache"),
        ("aio=auto|io_uring|threads", "what carries out requests that wait for the host's disk"),
        ("queues=N", "request queues; one for each CPU by default"),
        ("discard=off", "ignore what the guest gives up"),
        ("on-full=error|pause", "what the guest gets when the host's disk is full: an I/O error (the default), or a pause until there is space"),
        ("temporary", "forget all writes at the end"),
        ("backing=PATH", "a file that the image may use as its backing file; repeatable; \"any\" trusts the image"),
    ];

    /// <summary>The image: a file or a block device.</summary>
    public required string Path { get; init; }

    /// <summary>Its format, or null to look.</summary>
    public DiskFormat? Format { get; init; }

    /// <summary>Whether the guest may only read.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>What the guest finds the disk by (/dev/disk/by-id/virtio-SERIAL); at most 20 bytes.</summary>
    public string Serial { get; init; } = "";

    /// <summary>When the guest's writes become durable.</summary>
    public DiskCache Cache { get; init; } = DiskCache.WriteBack;

    /// <summary>Whether to go past the host's page cache.</summary>
    public bool Direct { get; init; }

    /// <summary>What carries out requests that wait for the host's disk.</summary>
    public DiskAio Aio { get; init; }

    /// <summary>Request queues, or null for one a vCPU.</summary>
    public int? Queues { get; init; }

    /// <summary>Whether space that the guest gives up goes back to the host.</summary>
    public bool Discard { get; init; } = true;

    /// <summary>Whether the machine is paused while the host has no space for what is written; else the guest gets an I/O error.</summary>
    public bool PausesWhenFull { get; init; }

    /// <summary>Whether all writes are forgotten at the machine's end; the image is only read.</summary>
    public bool Temporary { get; init; }

    /// <summary>Files that the image may use as backing files. An image cannot choose by itself which files of the host are read.</summary>
    public IReadOnlyList<string> Backing { get; init; } = [];

    /// <summary>Whether the image may use whatever backing file it names.</summary>
    public bool TrustsBacking { get; init; }

    /// <summary>Reads <c>PATH[,option…]</c>; a comma in a path is written twice.</summary>
    /// <exception cref="MachineException">The text is no disk.</exception>
    public static DiskSpec Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var words = Split(text);
        if (words[0].Length == 0) throw new MachineException("a disk needs the path of its image; write it like disk.qcow2 or disk.raw,ro");
        var disk = new DiskSpec { Path = words[0] };
        foreach (var word in words.Skip(1)) disk = With(disk, word);
        return disk;
    }

    private static DiskSpec With(DiskSpec disk, string word)
    {
        var equals = word.IndexOf('=', StringComparison.Ordinal);
        var (name, value) = equals < 0 ? (word, null) : (word[..equals], word[(equals + 1)..]);
        return (name, value) switch
        {
            ("ro", null) => disk with { ReadOnly = true },
            ("direct", null) => disk with { Direct = true },
            ("temporary", null) => disk with { Temporary = true },
            ("format", "raw") => disk with { Format = DiskFormat.Raw },
            ("format", "qcow2") => disk with { Format = DiskFormat.Qcow2 },
            ("serial", { Length: > 0 }) => disk with { Serial = value },
            ("cache", "writeback") => disk with { Cache = DiskCache.WriteBack },
            ("cache", "writethrough") => disk with { Cache = DiskCache.WriteThrough },
            ("cache", "unsafe") => disk with { Cache = DiskCache.Unsafe },
            ("aio", "auto") => disk with { Aio = DiskAio.Auto },
            ("aio", "io_uring") => disk with { Aio = DiskAio.IoUring },
            ("aio", "threads") => disk with { Aio = DiskAio.Threads },
            ("discard", "on" or "off") => disk with { Discard = value == "on" },
            ("on-full", "error" or "pause") => disk with { PausesWhenFull = value == "pause" },
            ("queues", not null) when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) => disk with { Queues = count },
            ("backing", "any") => disk with { TrustsBacking = true },
            ("backing", { Length: > 0 }) => disk with { Backing = [.. disk.Backing, value] },
            _ => throw new MachineException($"\"{word}\" is no option of a disk; there are {string.Join(", ", Words.Select(known => known.Word))}"),
        };
    }

    private static List<string> Split(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != ',') word.Append(text[i]);
            else if (i + 1 < text.Length && text[i + 1] == ',') word.Append(text[i++]);
            else
            {
                words.Add(word.ToString());
                word.Clear();
            }
        }
        words.Add(word.ToString());
        return words;
    }

    /// <summary>Refuses what no disk can be.</summary>
    /// <exception cref="MachineException">A value is out of its range.</exception>
    internal void Check()
    {
        if (Encoding.UTF8.GetByteCount(Serial) > VirtioBlockOptions.LongestSerial) throw new MachineException($"the serial number \"{Serial}\" is longer than {VirtioBlockOptions.LongestSerial} bytes; use a shorter one");
        if (Queues is < 1 or > VirtioBlockOptions.MostQueues) throw new MachineException($"a disk has 1 to {VirtioBlockOptions.MostQueues} queues, not {Queues}");
    }
}
