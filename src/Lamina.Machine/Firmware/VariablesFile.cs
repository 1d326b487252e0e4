// The file in which firmware's variables outlive the machine: as long as the flash chip, byte for byte the same. What the chip acknowledges is written by
// pwrite(2) before: from then on the host's kernel has it, and a process that is killed takes nothing of it along. (A shared mapping would keep
// as much; but a host without space, or a file that somebody cuts, would then be a signal to a virtual CPU, and here it is a status of the chip.) The
// chip writes bytes one by one and erases whole blocks that are pages of the host's, so none of it is ever half there; what firmware does in several
// steps it finds half done at its next start, and ends it, as after a pulled plug.
using System.Buffers.Binary;
using Lamina.Core.Logging;
using Lamina.Core.Work;
using Lamina.Devices.Firmware;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Firmware;

/// <summary>A file with firmware's variables.</summary>
internal sealed class VariablesFile : IFlashStore
{
    // UEFI Platform Initialization Specification, vol. 3, 3.2.1: the header of a firmware volume has its signature and its own length at these places.
    private const int SignatureAt = 40, HeaderLengthAt = 48, LeastHeader = 56;

    private readonly DiskFile _file;
    private readonly ILog? _log;
    private readonly IWorker _settles;
    private bool _fails;

    private VariablesFile(DiskFile file, byte[] content, IWorkerFactory workers, ILog? log)
    {
        (_file, Content, _log) = (file, content, log);
        _settles = workers.Create("firmware variables", Sync);
    }

    private static ReadOnlySpan<byte> Signature => "_FVH"u8;

    /// <summary>What it held when it was opened.</summary>
    internal byte[] Content { get; }

    /// <inheritdoc/>
    public string Name => Path.GetFileName(_file.Path);

    /// <summary>Opens it. Where there is none it is made: with what firmware begins with, whole or not at all.</summary>
    /// <param name="path">Its path. What lies there may be another's work: no link is followed.</param>
    /// <param name="first">What firmware begins with.</param>
    /// <param name="workers">Make the thread that has the host write it out.</param>
    /// <param name="log">Told of errors of the host's.</param>
    /// <exception cref="MachineException">It is not this firmware's, or cannot be read and written.</exception>
    internal static VariablesFile Open(string path, byte[] first, IWorkerFactory workers, ILog? log)
    {
        DiskFile? file = null;
        try
        {
            if (NamedFile.KindOf(path, followsLink: false) is null) HostFiles.Replace(path, first, durable: true);
            file = DiskFile.Take(NamedFile.OpenFileToWrite(path), path);
            if (!file.TryLockByte(0) || file.IsByteLocked(0)) throw new MachineException(MachineError.Busy, $"{path} is in use: another machine keeps its firmware's variables there");
            if (file.Length != (ulong)first.Length) throw Wrong($"has {file.Length} bytes, and this firmware's flash chip has {first.Length}");
            var content = new byte[first.Length];
            if (file.Read(0, content) != content.Length) throw Wrong("cannot be read to its end");
            if (!CanBe(content, first)) throw Wrong("does not begin as this firmware's do");
            return new VariablesFile(file, content, workers, log);
        }
        catch (Exception refused)
        {
            file?.Dispose();
            if (refused is IOException or UnauthorizedAccessException) throw Wrong($"cannot be used ({(refused is HostException ? refused.Message : HostFiles.Reason(refused, path))})", refused);
            throw;
        }

        MachineException Wrong(string why, Exception? inner = null) =>
            new(MachineError.File, $"{path}, the variables that firmware keeps for the machine, {why}; name the firmware that wrote it, or remove it, and the machine begins with its firmware's own", inner);
    }

    /// <inheritdoc/>
    public bool TryWrite(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            _file.Write((ulong)offset, bytes);
            _fails = false;
            return true;
        }
        catch (HostException failure)
        {
            if (!_fails) _log.Warn(LogEvent.Firmware, $"what the guest writes to its firmware's variables is refused: {failure.Message}");
            _fails = true;
            return false;
        }
    }

    /// <inheritdoc/>
    public void Settle() => _settles.Wake();

    /// <inheritdoc/>
    public void Dispose()
    {
        _settles.Dispose();
        Sync();
        _file.Dispose();
    }

    private void Sync()
    {
        try
        {
            _file.Sync();
        }
        catch (HostException failure)
        {
            _log.Warn(LogEvent.Firmware, $"firmware's variables may be lost where this host loses its power: {failure.Message}");
        }
    }

    // Firmware rewrites the first block, too: whoever is killed then leaves it with bytes that are erased.
    private static bool CanBe(ReadOnlySpan<byte> content, ReadOnlySpan<byte> first)
    {
        if (first.Length < LeastHeader || !first[SignatureAt..].StartsWith(Signature)) return true;
        var header = Math.Clamp(BinaryPrimitives.ReadUInt16LittleEndian(first[HeaderLengthAt..]), (ushort)LeastHeader, (ushort)FlashChip.Block);
        for (var i = 0; i < header; i++)
            if (content[i] != first[i] && content[i] != byte.MaxValue) return false;
        return true;
    }
}
