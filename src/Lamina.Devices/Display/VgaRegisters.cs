// The registers of a VGA as its ports reach them: what is kept, and how each port changes it. It knows neither memory nor a lock; a copy
// of it is what a picture is made by.
using Lamina.Core.State;
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

/// <summary>The VGA's registers.</summary>
internal sealed class VgaRegisters
{
    private const int ColourLength = 3, Colours = 256;
    private const byte SixBits = 0x3f, ReadsPalette = 3;

    private byte _sequencerIndex, _crtIndex, _graphicsIndex, _attributeIndex, _feature;
    private byte _paletteRead, _paletteWrite, _palettePart, _paletteState;
    private bool _attributeData;
    private byte[] _colour = new byte[ColourLength];

    internal byte[] Sequencer { get; private set; } = new byte[Sequencers];

    internal byte[] Crt { get; private set; } = new byte[CrtControllers];

    internal byte[] GraphicsController { get; private set; } = new byte[GraphicsControllers];

    internal byte[] Attribute { get; private set; } = new byte[Attributes];

    /// <summary>Red, green and blue of each of 256 colours, of 6 or 8 bits as they were written.</summary>
    internal byte[] Palette { get; private set; } = new byte[Colours * ColourLength];

    internal byte PaletteMask { get; private set; }

    internal byte Misc { get; private set; }

    /// <summary>What the four planes held at the last read by the window: plane 0 in the lowest byte.</summary>
    internal uint Latches { get; set; }

    /// <summary>Whether colours have 8 bits a part; the extensions say so.</summary>
    internal bool EightBitColours { get; set; }

    internal bool ShowsPicture => (_attributeIndex & VgaSpec.ShowsPicture) != 0;

    /// <summary>Goes back to what it is after power-on: all zero, but for the mask.</summary>
    internal void Reset()
    {
        foreach (var registers in (byte[][])[Sequencer, Crt, GraphicsController, Attribute, Palette, _colour]) Array.Clear(registers);
        (_sequencerIndex, _crtIndex, _graphicsIndex, _attributeIndex, _feature, Misc) = (0, 0, 0, 0, 0, 0);
        (_paletteRead, _paletteWrite, _palettePart, _paletteState, PaletteMask) = (0, 0, 0, 0, 0xff);
        (_attributeData, EightBitColours, Latches) = (false, false, 0);
    }

    /// <summary>All of it as it is now.</summary>
    internal VgaRegisters Copy()
    {
        var copy = (VgaRegisters)MemberwiseClone();
        (copy.Sequencer, copy.Crt, copy.GraphicsController) = ([.. Sequencer], [.. Crt], [.. GraphicsController]);
        (copy.Attribute, copy.Palette, copy._colour) = ([.. Attribute], [.. Palette], [.. _colour]);
        return copy;
    }

    /// <summary>Reads a port, 0x3B0 to 0x3DF.</summary>
    /// <param name="port">Which.</param>
    /// <param name="nanoseconds">The machine's time, by which the beam moves.</param>
    internal byte Read(int port, long nanoseconds)
    {
        if (!Answers(port)) return 0xff;
        switch (port)
        {
            case 0x3c0: return _attributeIndex;
            case 0x3c1: return (_attributeIndex & AttributeIndexMask) is var index and < Attributes ? Attribute[index] : (byte)0;
            // Input status 0: a monitor with colours is connected.
            case 0x3c2: return 0x10;
            case 0x3c4: return _sequencerIndex;
            case 0x3c5: return Sequencer[_sequencerIndex];
            case 0x3c6: return PaletteMask;
            case 0x3c7: return _paletteState;
            case 0x3c8: return _paletteWrite;
            case 0x3c9: return ReadColour();
            case 0x3ca: return _feature;
            case 0x3cc: return Misc;
            case 0x3ce: return _graphicsIndex;
            case 0x3cf: return _graphicsIndex < GraphicsControllers ? GraphicsController[_graphicsIndex] : (byte)0;
            case 0x3b4 or 0x3d4: return _crtIndex;
            case 0x3b5 or 0x3d5: return _crtIndex < CrtControllers ? Crt[_crtIndex] : (byte)0;
            case 0x3ba or 0x3da:
                _attributeData = false;
                return StatusAt(nanoseconds);
            default: return 0xff;
        }
    }

    /// <summary>Writes a port.</summary>
    internal void Write(int port, byte value)
    {
        if (!Answers(port)) return;
        switch (port)
        {
            case 0x3c0: WriteAttribute(value); break;
            case 0x3c2: Misc = (byte)(value & ~MiscReserved); break;
            case 0x3c4: _sequencerIndex = (byte)(value & (Sequencers - 1)); break;
            case 0x3c5: Sequencer[_sequencerIndex] = (byte)(value & SequencerMasks[_sequencerIndex]); break;
            case 0x3c6: PaletteMask = value; break;
            case 0x3c7: (_paletteRead, _palettePart, _paletteState) = (value, 0, ReadsPalette); break;
            case 0x3c8: (_paletteWrite, _palettePart, _paletteState) = (value, 0, 0); break;
            case 0x3c9: WriteColour(value); break;
            case 0x3ce: _graphicsIndex = (byte)(value & 0xf); break;
            case 0x3cf when _graphicsIndex < GraphicsControllers: GraphicsController[_graphicsIndex] = (byte)(value & GraphicsMasks[_graphicsIndex]); break;
            case 0x3b4 or 0x3d4: _crtIndex = (byte)(value & 0x1f); break;
            case 0x3b5 or 0x3d5: WriteCrt(value); break;
            case 0x3ba or 0x3da: _feature = value; break;
        }
    }

    /// <summary>Takes part in saving.</summary>
    internal static void Exchange(SavedFields fields, ref VgaRegisters registers)
    {
        fields.Bytes(1, registers.Sequencer);
        fields.Bytes(2, registers.Crt);
        fields.Bytes(3, registers.GraphicsController);
        fields.Bytes(4, registers.Attribute);
        fields.Bytes(5, registers.Palette);
        fields.Bytes(6, registers._colour);
        var (misc, mask, latches, eightBits) = (registers.Misc, registers.PaletteMask, registers.Latches, registers.EightBitColours);
        fields.Value(7, ref misc);
        fields.Value(8, ref mask);
        fields.Value(9, ref latches);
        fields.Value(10, ref eightBits);
        (registers.Misc, registers.PaletteMask, registers.Latches, registers.EightBitColours) = (misc, mask, latches, eightBits);
        fields.Value(11, ref registers._sequencerIndex);
        fields.Value(12, ref registers._crtIndex);
        fields.Value(13, ref registers._graphicsIndex);
        fields.Value(14, ref registers._attributeIndex);
        fields.Value(15, ref registers._feature);
        fields.Value(16, ref registers._paletteRead);
        fields.Value(17, ref registers._paletteWrite);
        fields.Value(18, ref registers._palettePart);
        fields.Value(19, ref registers._paletteState);
        fields.Value(20, ref registers._attributeData);
        if (fields.IsLoading) registers.Check();
    }

    private void Check()
    {
        SavedFields.Require(Fit(Sequencer, SequencerMasks) && Fit(GraphicsController, GraphicsMasks) && Fit(Attribute, AttributeMasks), "a bit is set that its register does not have");
        SavedFields.Require(_sequencerIndex < Sequencers && _crtIndex <= 0x1f && _graphicsIndex <= 0xf && _attributeIndex <= (AttributeIndexMask | VgaSpec.ShowsPicture), "an index beyond its registers");
        SavedFields.Require(_palettePart < ColourLength && _paletteState is 0 or ReadsPalette && (Misc & MiscReserved) == 0, "a position that the palette does not have");
    }

    private static bool Fit(ReadOnlySpan<byte> registers, ReadOnlySpan<byte> masks)
    {
        for (var i = 0; i < registers.Length; i++)
            if ((registers[i] & ~masks[i]) != 0) return false;
        return true;
    }

    // The CRT controller, its status and its feature register are at 0x3Bx or at 0x3Dx.
    private bool Answers(int port) => port is >= 0x3c0 and < 0x3d0 || (port >= 0x3d0) == ((Misc & MiscColour) != 0);

    private static byte StatusAt(long nanoseconds)
    {
        var (line, within) = Math.DivRem(nanoseconds, LineNanoseconds);
        line %= Lines;
        var dark = line >= LinesShown || within >= LineShown;
        return (byte)((dark ? StatusNoPicture : 0) | (line >= RetraceLine ? StatusRetrace : 0));
    }

    private void WriteAttribute(byte value)
    {
        var index = _attributeIndex & AttributeIndexMask;
        if (!_attributeData) _attributeIndex = (byte)(value & (AttributeIndexMask | VgaSpec.ShowsPicture));
        // The palette belongs to the picture as long as that is shown.
        else if (index < Attributes && (index >= PaletteRegisters || !ShowsPicture)) Attribute[index] = (byte)(value & AttributeMasks[index]);
        _attributeData = !_attributeData;
    }

    private void WriteCrt(byte value)
    {
        if (_crtIndex >= CrtControllers) return;
        ref var register = ref Crt[_crtIndex];
        // The first eight are protected but for one bit.
        if ((Crt[RetraceEnd] & Protected) == 0 || _crtIndex > Overflow) register = value;
        else if (_crtIndex == Overflow) register = (byte)(register & ~OverflowLineCompare | value & OverflowLineCompare);
    }

    private byte ReadColour()
    {
        var value = Palette[(_paletteRead * ColourLength) + _palettePart];
        if (++_palettePart == ColourLength) (_palettePart, _paletteRead) = (0, (byte)(_paletteRead + 1));
        return value;
    }

    // A colour changes when all of its parts are there.
    private void WriteColour(byte value)
    {
        _colour[_palettePart] = EightBitColours ? value : (byte)(value & SixBits);
        if (++_palettePart < ColourLength) return;
        _colour.CopyTo(Palette, _paletteWrite * ColourLength);
        (_palettePart, _paletteWrite) = (0, (byte)(_paletteWrite + 1));
    }
}
