// The extensions for larger pictures and more colours (Bochs' VBE interface): a handful of registers that say size, depth and what part of
// video memory is shown. Whatever is written, what they say afterwards is a picture that lies in video memory.
using Lamina.Core.State;
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

/// <summary>The extensions' registers.</summary>
/// <param name="memoryLength">Video memory in bytes.</param>
internal sealed class VgaExtensions(int memoryLength)
{
    private const int Unit = 8;

    private ushort[] _registers = new ushort[VgaSpec.Extensions];
    private ushort _index;

    /// <summary>Whether they, and not the VGA's registers, say what is shown.</summary>
    internal bool IsOn => (_registers[Enable] & Enabled) != 0;

    internal int Width => _registers[VgaSpec.Width];

    internal int Height => _registers[VgaSpec.Height];

    internal int Depth => _registers[VgaSpec.Depth];

    /// <summary>Whether the parts of a pixel of more than 8 bits come with the highest byte first.</summary>
    internal bool IsBigEndian { get; private set; }

    /// <summary>Where the window below 1 MiB begins, in bytes of a plane or of linear memory.</summary>
    internal int BankStart => IsOn ? _registers[BankNumber] * Bank : 0;

    internal bool EightBitColours => (_registers[Enable] & EightBitPalette) != 0;

    /// <summary>The bytes of a line; with planes, of all of them.</summary>
    internal int LineLength => LineOf(_registers[VirtualWidth]);

    /// <summary>The first byte that is shown.</summary>
    internal int Start => (int)StartOf(LineLength);

    internal int BytesOfPixel => (Depth + 7) / 8;

    /// <summary>Which register the ports reach.</summary>
    internal ushort Index
    {
        get => _index;
        set => _index = value;
    }

    internal uint ByteOrder
    {
        get => IsBigEndian ? VgaSpec.BigEndian : VgaSpec.LittleEndian;
        set => IsBigEndian = value switch
        {
            VgaSpec.BigEndian => true,
            VgaSpec.LittleEndian => false,
            _ => IsBigEndian,
        };
    }

    internal void Reset()
    {
        Array.Clear(_registers);
        _registers[ExtensionId] = LastId;
        (_index, IsBigEndian) = (0, false);
        Fit();
    }

    /// <summary>All of it as it is now.</summary>
    internal VgaExtensions Copy()
    {
        var copy = (VgaExtensions)MemberwiseClone();
        copy._registers = [.. _registers];
        return copy;
    }

    internal ushort Read(int register)
    {
        var most = (_registers[Enable] & AsksForMost) != 0;
        return register switch
        {
            VgaSpec.Width when most => MostWidth,
            VgaSpec.Height when most => MostHeight,
            VgaSpec.Depth when most => 32,
            MemoryBanks => (ushort)(memoryLength / Bank),
            >= 0 and < MemoryBanks => _registers[register],
            _ => 0,
        };
    }

    /// <summary>Writes a register.</summary>
    /// <returns>How many bytes of video memory, from its beginning, are to become zero.</returns>
    internal int Write(int register, ushort value)
    {
        switch (register)
        {
            case ExtensionId:
                if (value is >= FirstId and <= LastId) _registers[ExtensionId] = value;
                return 0;
            case VgaSpec.Depth:
                if (value is 0 or 4 or 8 or 15 or 16 or 24 or 32) _registers[VgaSpec.Depth] = value;
                break;
            case Enable:
                return WriteEnable(value);
            case BankNumber:
                if (value < memoryLength / Bank) _registers[BankNumber] = value;
                return 0;
            case VgaSpec.Width or VgaSpec.Height or VirtualWidth or OffsetX or OffsetY:
                _registers[register] = value;
                break;
        }
        Fit();
        return 0;
    }

    /// <summary>Takes part in saving.</summary>
    internal static void Exchange(SavedFields fields, ref VgaExtensions extensions)
    {
        fields.Values(1, extensions._registers);
        fields.Value(2, ref extensions._index);
        var bigEndian = extensions.IsBigEndian;
        fields.Value(3, ref bigEndian);
        extensions.IsBigEndian = bigEndian;
        if (fields.IsLoading) extensions.Check();
    }

    private void Check()
    {
        const ushort Known = Enabled | AsksForMost | EightBitPalette | Linear | KeepsMemory;
        SavedFields.Require(_registers[ExtensionId] is >= FirstId and <= LastId && (_registers[Enable] & ~Known) == 0 && _registers[BankNumber] < memoryLength / Bank && _registers[MemoryBanks] == 0
            && _registers[VgaSpec.Depth] is 4 or 8 or 15 or 16 or 24 or 32, "extensions with values that they do not take");
        var said = (ushort[])_registers.Clone();
        Fit();
        SavedFields.Require(said.AsSpan().SequenceEqual(_registers), "a picture beyond video memory");
    }

    private int WriteEnable(ushort value)
    {
        const ushort Known = Enabled | AsksForMost | EightBitPalette | Linear | KeepsMemory;
        var begins = (value & Enabled) != 0 && !IsOn;
        _registers[Enable] = (ushort)(value & Known);
        if (!IsOn) _registers[BankNumber] = 0;
        if (!begins) return 0;
        (_registers[VirtualWidth], _registers[OffsetX], _registers[OffsetY]) = (0, 0, 0);
        Fit();
        return (value & KeepsMemory) != 0 ? 0 : LineLength * Height;
    }

    private long StartOf(int line) => ((long)_registers[OffsetY] * line) + LineOf(_registers[OffsetX]);

    private int LineOf(int width) => Depth == 4 ? width / Unit * Planes : width * BytesOfPixel;

    // The nearest picture that lies in video memory.
    private void Fit()
    {
        if (_registers[VgaSpec.Depth] == 0) _registers[VgaSpec.Depth] = 8;
        var width = Math.Clamp(_registers[VgaSpec.Width] & ~(Unit - 1), Unit, MostWidth);
        var most = Math.Min(memoryLength / LineOf(Unit) * Unit, ushort.MaxValue & ~(Unit - 1));
        var line = LineOf(Math.Clamp(_registers[VirtualWidth] & ~(Unit - 1), width, most));
        var height = Math.Clamp((int)_registers[VgaSpec.Height], 1, Math.Min(MostHeight, memoryLength / line));
        _registers[VgaSpec.Width] = (ushort)width;
        _registers[VgaSpec.Height] = (ushort)height;
        _registers[VirtualWidth] = (ushort)(line / LineOf(Unit) * Unit);
        _registers[VirtualHeight] = (ushort)Math.Min(memoryLength / line, ushort.MaxValue);
        // What is shown ends with the memory.
        if (StartOf(line) + ((height - 1) * line) + LineOf(width) > memoryLength) (_registers[OffsetX], _registers[OffsetY]) = (0, 0);
    }
}
