// What a machine goes on from that is a copy of another one of this host, in memory: all but the content of the RAM, and an image of that
// (MemoryImage). It goes from process to process as open files: the first holds where what is (five numbers), the pages of the RAM that are in no
// layer, the state as a saved machine's (SavedMachine) and the image's description; the others are its layers.
using System.Runtime.InteropServices;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Host;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Saving;

/// <summary>What another machine goes on from. Disposed of, the memory that only it holds is given back.</summary>
public sealed class MachineForked : IDisposable
{
    private const int Head = 4 * sizeof(ulong), Page = HostReservation.PageSize;
    private const ulong LongestState = 1 << 28;

    private readonly SharedMemory _file;
    private SavedMachine? _state;
    private ulong _behind;
    private bool _layersAreOwn;

    private MachineForked(SharedMemory file, SavedMachine state, MemoryImage? image, ulong behind) => (_file, _state, Image, _behind) = (file, state, image, behind);

    /// <summary>For how long the first machine stood still.</summary>
    public TimeSpan StoodStill { get; private set; }

    /// <summary>How many bytes of memory are in no layer, so that each copy has them for itself.</summary>
    public ulong OwnBytes => (ulong)(Image?.RestPages ?? 0) * Page;

    /// <summary>The open files that it consists of, for another process.</summary>
    public IReadOnlyList<SafeHandle> Files => [_file.Handle, .. Image?.Layers.Select(layer => layer.Handle) ?? []];

    /// <summary>Whether the content of its RAM is there, so that a machine can go on from it.</summary>
    public bool HasMemory => Image is not null;

    /// <summary>What the machine is.</summary>
    public MachineDefinition Definition => State.Definition;

    /// <summary>All but the RAM's content.</summary>
    internal SavedMachine State => _state!;

    /// <summary>The RAM; null where it was not asked for.</summary>
    internal MemoryImage? Image { get; private set; }

    /// <summary>Makes it. <see cref="Finish"/> is called before it goes anywhere.</summary>
    /// <param name="state">All but the RAM's content.</param>
    /// <param name="memory">The RAM, whose image is prepared and to which nobody writes; null for none.</param>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    internal static MachineForked Make(SavedMachine state, GuestMemory? memory)
    {
        // Long enough for all that may come; it takes what is written.
        var file = SharedMemory.Create("lamina-fork", LongestState + (memory?.Size ?? 0) * 2);
        try
        {
            if (memory is null) return new MachineForked(file, state, null, Page);
            var (image, behind) = memory.CutImage(file, Page);
            return new MachineForked(file, state, image, behind);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes what need not be written while the machine stands still.</summary>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    internal void Finish(TimeSpan stoodStill)
    {
        StoodStill = stoodStill;
        var (state, image) = (State.Encode(), Image?.Encode() ?? []);
        _file.Write(_behind, state);
        _file.Write(_behind + (ulong)state.Length, image);
        _file.Write(0, MemoryMarshal.AsBytes<ulong>([_behind, (ulong)state.Length, (ulong)image.Length, Image is null ? 0ul : 1]));
        _file.Seal();
    }

    /// <summary>Takes over what another process gives. Nothing in it is trusted.</summary>
    /// <param name="files">Its files, which are this one's from now on.</param>
    /// <exception cref="MachineException">It is none.</exception>
    public static MachineForked Receive(IReadOnlyList<SafeFileHandle> files)
    {
        ArgumentNullException.ThrowIfNull(files);
        var taken = new List<SharedMemory>();
        try
        {
            foreach (var file in files) taken.Add(SharedMemory.TakeSealed(file));
            if (taken.Count == 0) throw new HostException("there is none");
            Span<byte> head = stackalloc byte[Head];
            var numbers = MemoryMarshal.Cast<byte, ulong>(head);
            Read(taken[0], 0, head);
            var (at, length, described) = (numbers[0], numbers[1], numbers[2]);
            if (length > LongestState || described > LongestState) throw new HostException("it is longer than any");
            var state = new byte[length];
            Read(taken[0], at, state);
            var image = new byte[described];
            Read(taken[0], at + length, image);
            return new MachineForked(taken[0], SavedMachine.Decode(state), numbers[3] == 0 ? null : MemoryImage.Decode(image, taken[1..], taken[0]), 0) { _layersAreOwn = true };
        }
        catch (Exception wrong) when (wrong is IOException or StateException or MachineException)
        {
            foreach (var file in files) file.Dispose();
            throw new MachineException(MachineError.Host, $"the machine that this one is to be a copy of gives what cannot be used: {wrong.Message}", wrong);
        }
    }

    /// <summary>Gives its layers to a machine's memory, which keeps them; the rest is read from this one.</summary>
    internal MemoryImage TakeImage()
    {
        _layersAreOwn = false;
        return Image ?? throw new InvalidOperationException("there is no image");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        if (!_layersAreOwn) return;
        foreach (var layer in Image?.Layers ?? []) layer.Dispose();
    }

    private static void Read(SharedMemory file, ulong at, Span<byte> into)
    {
        if (at > file.Length || file.Read(at, into) != into.Length) throw new HostException("it ends early");
    }
}
