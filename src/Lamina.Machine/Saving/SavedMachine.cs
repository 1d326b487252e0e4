// A machine as it is written down: what it is, where its clocks and CPUs and devices stand, and its memory. A folder with two files:
// "state", which this reads and writes, and "memory", whose pages lie at fixed offsets (MemoryFile), so that they can be mapped, or another one in its place (SavedMemory). The
// folder is there whole or not at all.
//
// "state" is a magic line, the format's number (2) as four bytes, a record of fields (SavedFields), and the SHA-256 of all before it.
using System.Buffers.Binary;
using System.Security.Cryptography;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Engines;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Saving;

/// <summary>A saved machine, but for its memory's content.</summary>
internal sealed record SavedMachine
{
    private const int Format = 2, MostUnits = 4096, MostRanges = 64, LongestDefinition = 1 << 20, LongestFile = 1 << 28;
    private const string StateName = "state", CannotBeUsed = "the saved machine cannot be used: ";

    private struct Unit
    {
        internal string? Name, Kind;
        internal int Version;
        internal byte[]? Content;
    }

    private static ReadOnlySpan<byte> Magic => "Lamina machine\n\0"u8;

    /// <summary>What the machine is.</summary>
    internal required MachineDefinition Definition { get; init; }

    /// <summary>The CPU that its guest sees, with every feature by name, so that it is the same on another host.</summary>
    internal required string CpuModel { get; init; }

    /// <summary>The same CPU with all that CPUID says of it; null in a state of format 1, which had none: all but its features is then the host's.</summary>
    internal CpuIdentity? CpuIdentity { get; init; }

    /// <summary>Where its clocks stand.</summary>
    internal required SavedClock Clock { get; init; }

    /// <summary>Its RAM.</summary>
    internal required IReadOnlyList<MemoryRange> Ranges { get; init; }

    /// <summary>Its parts.</summary>
    internal required IReadOnlyList<SavedUnit> Units { get; init; }

    /// <summary>Writes a machine.</summary>
    /// <param name="folder">A folder that is not there yet.</param>
    /// <param name="memory">Writes the content of its memory to a file of this name.</param>
    /// <exception cref="MachineException">The host refuses it; nothing is left of it.</exception>
    internal void Write(string folder, Action<string> memory)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        var under = target + ".new";
        if (Path.Exists(target)) throw new MachineException(MachineError.File, $"{folder} is there already; choose another place for the saved machine, or remove it first");
        try
        {
            if (Directory.Exists(under)) Directory.Delete(under, recursive: true);
            Directory.CreateDirectory(under, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            memory(Path.Combine(under, SavedMemory.PlainName));
            using (var file = HostFiles.CreatePrivate(Path.Combine(under, StateName), FileMode.CreateNew))
            {
                file.Write(Encode());
                file.Flush(flushToDisk: true);
            }
            HostFiles.SyncDirectory(under);
            Directory.Move(under, target);
            HostFiles.SyncDirectory(Path.GetDirectoryName(target)!);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Clear(under);
            throw new MachineException(failure is HostException ? MachineError.Host : MachineError.File, $"the machine cannot be saved to {folder}: {HostFiles.Reason(failure, folder)}", failure);
        }
    }

    private static void Clear(string under)
    {
        try
        {
            if (Directory.Exists(under)) Directory.Delete(under, recursive: true);
        }
        catch (Exception further) when (further is IOException or UnauthorizedAccessException)
        {
            // The first failure is the one to tell of.
        }
    }

    /// <summary>Reads a folder's state.</summary>
    /// <exception cref="MachineException">There is none, or it is damaged, or of another program; the sentence says which.</exception>
    internal static SavedMachine Read(string folder)
    {
        var path = Path.Combine(folder, StateName);
        byte[] content;
        try
        {
            content = NamedFile.ReadFile(path, LongestFile);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, $"{folder} is no saved machine: {path}: {HostFiles.Reason(failure, path)}", failure);
        }
        try
        {
            return Decode(content);
        }
        catch (StateException wrong)
        {
            throw new MachineException(MachineError.File, $"{CannotBeUsed}{path} {wrong.Message}", wrong);
        }
    }

    internal byte[] Encode()
    {
        var fields = SavedFields.Write(Format, Exchange(this, _ => { }));
        var content = new byte[Magic.Length + sizeof(int) + fields.Length + SHA256.HashSizeInBytes];
        Magic.CopyTo(content);
        BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(Magic.Length), Format);
        fields.CopyTo(content.AsSpan(Magic.Length + sizeof(int)));
        SHA256.HashData(content.AsSpan(0, content.Length - SHA256.HashSizeInBytes), content.AsSpan(content.Length - SHA256.HashSizeInBytes));
        return content;
    }

    internal static SavedMachine Decode(ReadOnlyMemory<byte> content)
    {
        var start = Magic.Length + sizeof(int);
        if (content.Length < start || !content.Span[..Magic.Length].SequenceEqual(Magic)) throw new StateException("is no state of a machine");
        var format = BinaryPrimitives.ReadInt32LittleEndian(content.Span[Magic.Length..]);
        if (format > Format) throw new StateException($"is of format {format}, and this program knows up to {Format}; use the program that saved it, or a newer one");
        var end = content.Length - SHA256.HashSizeInBytes;
        if (format < 1 || end < start || !SHA256.HashData(content.Span[..end]).AsSpan().SequenceEqual(content.Span[end..])) throw new StateException("is damaged: its digest is another one than it says");
        SavedMachine? machine = null;
        SavedFields.Read(content[start..end], format, Exchange(null, read => machine = read));
        return machine!;
    }

    private static Action<SavedFields> Exchange(SavedMachine? machine, Action<SavedMachine> read) => fields =>
    {
        var definition = machine is null ? [] : DefinitionJson.Write(machine.Definition);
        var cpu = machine?.CpuModel ?? "";
        var clock = machine?.Clock ?? new SavedClock(0, 0, 0, default);
        var ranges = machine?.Ranges ?? [];
        var identity = machine?.CpuIdentity ?? new CpuIdentity([], 0);
        IReadOnlyList<Unit> units = [.. machine?.Units.Select(unit => new Unit { Name = unit.Name, Kind = unit.Kind.Name, Version = unit.Kind.Version, Content = unit.Fields.ToArray() }) ?? []];
        fields.Bytes(1, ref definition, LongestDefinition);
        fields.Text(2, ref cpu);
        fields.Record(3, ref clock, ExchangeClock);
        fields.List(4, ref ranges, MostRanges, ExchangeRange);
        fields.List(5, ref units, MostUnits, ExchangeUnit);
        fields.Record(6, ref identity, CpuIdentity.Exchange, since: 2);
        if (!fields.IsLoading) return;
        SavedFields.Require(CpuModels.WhyNot(cpu) is null, "a CPU model that is none");
        read(new SavedMachine
        {
            Definition = DefinitionOf(definition),
            CpuModel = cpu,
            CpuIdentity = fields.Version >= 2 ? identity : null,
            Clock = clock,
            Ranges = ranges,
            Units = [.. units.Select(unit => new SavedUnit(unit.Name!, new SavedKind(unit.Kind!, unit.Version), unit.Content))],
        });
    };

    private static MachineDefinition DefinitionOf(byte[] text)
    {
        try
        {
            return DefinitionJson.Read(text);
        }
        catch (MachineException wrong)
        {
            throw new StateException($"has a definition that is none: {wrong.Message}", wrong);
        }
    }

    private static void ExchangeClock(SavedFields fields, ref SavedClock clock)
    {
        var (nanoseconds, tsc, hertz, wall) = (clock.Nanoseconds, clock.Tsc, clock.TscHz, clock.WallClock.UtcTicks);
        fields.Value(1, ref nanoseconds);
        fields.Value(2, ref tsc);
        fields.Value(3, ref hertz);
        fields.Value(4, ref wall);
        if (!fields.IsLoading) return;
        SavedFields.Require(nanoseconds is >= 0 and < long.MaxValue / 2 && hertz > 0 && wall >= 0 && wall <= DateTimeOffset.MaxValue.UtcTicks, "a clock outside time");
        clock = new SavedClock(nanoseconds, tsc, hertz, new DateTimeOffset(wall, TimeSpan.Zero));
    }

    private static void ExchangeRange(SavedFields fields, ref MemoryRange range)
    {
        var (start, length) = (range.Start, range.Length);
        fields.Value(1, ref start);
        fields.Value(2, ref length);
        range = new MemoryRange(start, length);
    }

    private static void ExchangeUnit(SavedFields fields, ref Unit unit)
    {
        var (name, kind, content) = (unit.Name ?? "", unit.Kind ?? "", unit.Content ?? []);
        fields.Text(1, ref name, SavedKind.LongestName);
        fields.Text(2, ref kind, SavedKind.LongestName);
        fields.Value(3, ref unit.Version);
        fields.Bytes(4, ref content, LongestFile);
        (unit.Name, unit.Kind, unit.Content) = (name, kind, content);
    }
}
