// A named piece of memory that guests can have in their address space: RAM, a ROM, a flash chip, a frame buffer. Whoever made it says
// where it lies and how it answers, while the machine runs, too; GuestMemory carries that out and tells the engines.
namespace Lamina.Core.Memory;

/// <summary>How a region answers to CPUs.</summary>
public enum MemoryKind
{
    /// <summary>Loads and stores are the memory's.</summary>
    Ram,

    /// <summary>
    /// Loads are the memory's, stores go to the bus. Where nothing answers there they are dropped, as by a ROM; a flash chip has a
    /// window in the same place and takes them as commands.
    /// </summary>
    Rom,

    /// <summary>All goes to the bus; the memory keeps its bytes. A flash chip that is asked for its status, for as long as that lasts.</summary>
    Device,
}

/// <summary>Is told how guests' addresses get another meaning: an engine.</summary>
public interface IMemoryMapListener
{
    /// <summary>
    /// A range answers in another way. When this returns, no CPU takes it for what it was before. Called with the memory's gate held, for
    /// one change after another, on any thread (a vCPU's, too, between whose instructions it is then not); the memory is mapped on the host
    /// before it appears and until it has gone.
    /// </summary>
    /// <param name="range">Whole pages: a region as it lies now, or as it lay.</param>
    /// <param name="before">What it was; null: no memory.</param>
    /// <param name="after">What it is; null: no memory.</param>
    /// <exception cref="Host.HostException">The host cannot have it so; the change does not come about.</exception>
    void Remapped(MemoryRange range, MemoryKind? before, MemoryKind? after);
}

/// <summary>A piece of memory that can lie at a place in a guest's address space. Any thread; changes come one after another.</summary>
public sealed class MemoryRegion : IDisposable
{
    private readonly GuestMemory _memory;

    internal MemoryRegion(GuestMemory memory, string name, ulong length, MemoryKind kind, MemoryBacking backing) =>
        (_memory, Name, Length, Kind, Backing) = (memory, name, length, kind, backing);

    /// <summary>What it is, unique in the machine.</summary>
    public string Name { get; }

    /// <summary>Its length in bytes.</summary>
    public ulong Length { get; }

    /// <summary>What holds its bytes.</summary>
    public MemoryBacking Backing { get; internal set; }

    /// <summary>How it answers.</summary>
    public MemoryKind Kind { get; internal set; }

    /// <summary>Whether it is a device's, which keeps and saves its bytes itself: no part of the machine's RAM, though it may answer as that does.</summary>
    public bool IsDevices { get; internal init; }

    /// <summary>Whether it is a part of the machine's RAM.</summary>
    internal bool IsMain => Kind == MemoryKind.Ram && !IsDevices;

    /// <summary>Its first address; null while it lies nowhere.</summary>
    public ulong? Start { get; internal set; }

    /// <summary>Where it lies; empty while it lies nowhere.</summary>
    internal MemoryRange Range => Start is { } start ? new MemoryRange(start, Length) : default;

    /// <summary>Puts it to a place: its backing is mapped there.</summary>
    /// <returns>False where the place is not one of whole pages below <see cref="GuestMemory.End"/>, or another region has some of it; it then lies nowhere.</returns>
    /// <exception cref="Host.HostException">The host refuses; it then lies nowhere.</exception>
    public bool TryMove(ulong start) => _memory.TryMove(this, start);

    /// <summary>
    /// Takes it out of the address space. What devices still do with memory that they were given before goes nowhere: it meets other pages
    /// of the host's, in which nothing else lies.
    /// </summary>
    /// <exception cref="Host.HostException">The host refuses.</exception>
    public void SwitchOff() => _memory.SwitchOff(this);

    /// <summary>Has it answer in another way.</summary>
    /// <exception cref="Host.HostException">The host refuses.</exception>
    public void SetKind(MemoryKind kind) => _memory.SetKind(this, kind);

    /// <summary>Copies its bytes out, whatever its kind. False, with nothing copied, while it lies nowhere or where it ends before.</summary>
    public bool TryRead(ulong offset, Span<byte> destination) => _memory.TryReadRegion(this, offset, destination);

    /// <summary>Copies bytes into it, whatever its kind: what a loader or a flash chip does. False, with nothing written, as above.</summary>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> source) => _memory.TryWriteRegion(this, offset, source);

    /// <summary>Takes it away for good; its name may be another's.</summary>
    public void Dispose() => _memory.Remove(this);
}
