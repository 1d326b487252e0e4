// A small encoder of AML, as much as the tables of our machines need: names, scopes, devices, packages, methods' bodies
// as byte strings, resource templates. ACPI 6.5, chapter 20 (AML grammar) and 6.4 (resource descriptors).
// Each function returns the finished encoding of one term, so that terms nest as expressions.
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Acpi;

/// <summary>Encodes AML terms.</summary>
internal static class Aml
{
    // 20.2: opcodes.
    private const byte ZeroOp = 0x00, OneOp = 0x01, NameOp = 0x08, BytePrefix = 0x0A, WordPrefix = 0x0B, DWordPrefix = 0x0C, StringPrefix = 0x0D, QWordPrefix = 0x0E;
    private const byte ScopeOp = 0x10, BufferOp = 0x11, PackageOp = 0x12, MethodOp = 0x14, ExtOpPrefix = 0x5B, DeviceOp = 0x82, RootChar = 0x5C;
    private const byte LocalOp = 0x60, ArgumentOp = 0x68, StoreOp = 0x70, AndOp = 0x7B, OrOp = 0x7D, NotifyOp = 0x86, CreateDWordFieldOp = 0x8A, IfOp = 0xA0, ReturnOp = 0xA4;
    private const byte RegionOp = 0x80, FieldOp = 0x81, PciConfigurationSpace = 2, ByteAccess = 1, NoTarget = 0, Serialized = 8;

    /// <summary>A name segment or path: four characters a segment, an optional leading backslash, segments parted by dots. 20.2.2.</summary>
    internal static byte[] NamePath(string path)
    {
        var bytes = new List<byte>();
        if (path.StartsWith('\\')) bytes.Add(RootChar);
        var segments = path.TrimStart('\\').Split('.');
        if (segments.Length == 2) bytes.Add(0x2E);
        if (segments.Length > 2) bytes.AddRange([0x2F, (byte)segments.Length]);
        foreach (var segment in segments)
        {
            if (segment.Length is 0 or > 4) throw new ArgumentException($"{segment} is no name segment", nameof(path));
            bytes.AddRange(Encoding.ASCII.GetBytes(segment.PadRight(4, '_')));
        }
        return [.. bytes];
    }

    /// <summary>An integer in its shortest form. 20.2.3.</summary>
    internal static byte[] Integer(ulong value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return value switch
        {
            0 => [ZeroOp],
            1 => [OneOp],
            <= byte.MaxValue => [BytePrefix, bytes[0]],
            <= ushort.MaxValue => [WordPrefix, .. bytes[..2]],
            <= uint.MaxValue => [DWordPrefix, .. bytes[..4]],
            _ => [QWordPrefix, .. bytes],
        };
    }

    /// <summary>A zero-terminated string.</summary>
    internal static byte[] String(string text) => [StringPrefix, .. Encoding.ASCII.GetBytes(text), 0];

    /// <summary>A compressed EISA identifier: three letters and four hexadecimal digits. 19.3.4.</summary>
    internal static byte[] EisaId(string id)
    {
        var letters = ((id[0] - 0x40) << 10) | ((id[1] - 0x40) << 5) | (id[2] - 0x40);
        var digits = Convert.ToUInt16(id[3..], 16);
        return [DWordPrefix, (byte)(letters >> 8), (byte)letters, (byte)(digits >> 8), (byte)digits];
    }

    /// <summary>Name (path, value).</summary>
    internal static byte[] Name(string path, byte[] value) => [NameOp, .. NamePath(path), .. value];

    /// <summary>Scope (path) { terms }.</summary>
    internal static byte[] Scope(string path, params IEnumerable<byte[]> terms) => [ScopeOp, .. WithLength([.. NamePath(path), .. Join(terms)])];

    /// <summary>Device (name) { terms }.</summary>
    internal static byte[] Device(string name, params IEnumerable<byte[]> terms) => [ExtOpPrefix, DeviceOp, .. WithLength([.. NamePath(name), .. Join(terms)])];

    /// <summary>Package () { elements }, at most 255 of them.</summary>
    internal static byte[] Package(params byte[][] elements) => [PackageOp, .. WithLength([(byte)elements.Length, .. Join(elements)])];

    /// <summary>Method (name, arguments, Serialized) { terms }. 20.2.5.2.</summary>
    internal static byte[] Method(string name, int arguments, params byte[][] terms) => [MethodOp, .. WithLength([.. NamePath(name), (byte)(arguments | Serialized), .. Join(terms)])];

    /// <summary>LocalN, a variable of a method's own.</summary>
    internal static byte[] Local(int number) => [(byte)(LocalOp + number)];

    /// <summary>ArgN, what a method was given.</summary>
    internal static byte[] Argument(int number) => [(byte)(ArgumentOp + number)];

    /// <summary>Store (value, target).</summary>
    internal static byte[] Store(byte[] value, byte[] target) => [StoreOp, .. value, .. target];

    /// <summary>And (a, b), stored nowhere.</summary>
    internal static byte[] And(byte[] a, byte[] b) => [AndOp, .. a, .. b, NoTarget];

    /// <summary>Or (a, b, target).</summary>
    internal static byte[] Or(byte[] a, byte[] b, byte[] target) => [OrOp, .. a, .. b, .. target];

    /// <summary>If (condition) { terms }.</summary>
    internal static byte[] If(byte[] condition, params byte[][] terms) => [IfOp, .. WithLength([.. condition, .. Join(terms)])];

    /// <summary>Notify (object, value). 20.2.5.3.</summary>
    internal static byte[] Notify(string path, ulong value) => [NotifyOp, .. NamePath(path), .. Integer(value)];

    /// <summary>Return (value).</summary>
    internal static byte[] Return(byte[] value) => [ReturnOp, .. value];

    /// <summary>CreateDWordField (buffer, index, name): four bytes of a buffer by a name.</summary>
    internal static byte[] CreateDWordField(byte[] buffer, int index, string name) => [CreateDWordFieldOp, .. buffer, .. Integer((ulong)index), .. NamePath(name)];

    /// <summary>OperationRegion (name, PCI_Config, offset, length): registers of the PCI function that the device around it is.</summary>
    internal static byte[] PciConfigurationRegion(string name, int offset, int length) =>
        [ExtOpPrefix, RegionOp, .. NamePath(name), PciConfigurationSpace, .. Integer((ulong)offset), .. Integer((ulong)length)];

    /// <summary>Field (region, ByteAcc, NoLock, Preserve) { names, of 8 bits each }. 20.2.5.2.</summary>
    internal static byte[] ByteFields(string region, params string[] names) =>
        [ExtOpPrefix, FieldOp, .. WithLength([.. NamePath(region), ByteAccess, .. names.SelectMany<string, byte>(name => [.. NamePath(name), 8])])];

    /// <summary>Buffer () { bytes }.</summary>
    internal static byte[] Buffer(byte[] bytes) => [BufferOp, .. WithLength([.. Integer((ulong)bytes.Length), .. bytes])];

    /// <summary>ResourceTemplate () { descriptors }: a buffer with an end tag whose checksum is 0 (not checked). 6.4.2.9.</summary>
    internal static byte[] ResourceTemplate(params byte[][] descriptors) => Buffer([.. Join(descriptors), 0x79, 0x00]);

    /// <summary>IO (Decode16, first, first, 1, length). 6.4.2.5.</summary>
    internal static byte[] Io(ushort first, byte length) => [0x47, 0x01, (byte)first, (byte)(first >> 8), (byte)first, (byte)(first >> 8), 0x01, length];

    /// <summary>IRQNoFlags () { line }: edge, active high, exclusive; lines 0 to 15. 6.4.2.1.</summary>
    internal static byte[] IrqNoFlags(int line) => [0x22, (byte)(1 << line), (byte)((1 << line) >> 8)];

    /// <summary>Memory32Fixed (ReadWrite, start, length). 6.4.3.4.</summary>
    internal static byte[] Memory32Fixed(uint start, uint length)
    {
        var bytes = new byte[12];
        (bytes[0], bytes[1], bytes[3]) = (0x86, 9, 1);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), start);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), length);
        return bytes;
    }

    /// <summary>Where the first number stands in <see cref="LevelInterrupt"/>.</summary>
    internal const int LevelInterruptNumber = 5;

    /// <summary>Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { gsis }: one, or those that may be chosen from. 6.4.3.6.</summary>
    internal static byte[] LevelInterrupt(params uint[] gsis)
    {
        var bytes = new byte[LevelInterruptNumber + (gsis.Length * sizeof(uint))];
        (bytes[0], bytes[1], bytes[3], bytes[4]) = (0x89, (byte)(bytes.Length - 3), 0x09, (byte)gsis.Length);
        for (var i = 0; i < gsis.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(LevelInterruptNumber + (i * sizeof(uint))), gsis[i]);
        return bytes;
    }

    /// <summary>What a bridge passes on: all of the range and nothing else of it, at the addresses that it has. 6.4.3.5.</summary>
    internal static byte[] BusNumbers(ushort first, ushort last) => AddressSpace(0x88, sizeof(ushort), kind: 2, flags: 0, first, last);

    /// <inheritdoc cref="BusNumbers"/>
    internal static byte[] PortWindow(ushort first, ushort last) => AddressSpace(0x88, sizeof(ushort), kind: 1, flags: 3, first, last);

    /// <inheritdoc cref="BusNumbers"/>
    internal static byte[] MemoryWindow(uint first, uint last) => AddressSpace(0x87, sizeof(uint), kind: 0, flags: 1, first, last);

    /// <inheritdoc cref="BusNumbers"/>
    internal static byte[] WideMemoryWindow(ulong first, ulong last) => AddressSpace(0x8A, sizeof(ulong), kind: 0, flags: 3, first, last);

    // 6.4.3.5.1 to 6.4.3.5.3: type, length, kind of resource, fixed ends, the kind's flags, then granularity, ends, translation, length.
    private static byte[] AddressSpace(byte type, int width, byte kind, byte flags, ulong first, ulong last)
    {
        const int head = 6;
        const byte minimumFixed = 4, maximumFixed = 8;
        var bytes = new byte[head + (5 * width)];
        (bytes[0], bytes[1], bytes[3], bytes[4], bytes[5]) = (type, (byte)(bytes.Length - 3), kind, minimumFixed | maximumFixed, flags);
        void Put(int place, ulong value)
        {
            for (var i = 0; i < width; i++) bytes[head + (place * width) + i] = (byte)(value >> (8 * i));
        }

        Put(1, first);
        Put(2, last);
        Put(4, last - first + 1);
        return bytes;
    }

    // 20.2.4: the length counts itself. One byte up to 63; else the low nibble, then one to three bytes.
    private static byte[] WithLength(byte[] content)
    {
        if (content.Length + 1 <= 0x3F) return [(byte)(content.Length + 1), .. content];
        for (var extra = 1; extra <= 3; extra++)
        {
            var total = content.Length + 1 + extra;
            if (total >= 1 << (4 + (8 * extra))) continue;
            var length = new byte[1 + extra];
            length[0] = (byte)((extra << 6) | (total & 0xF));
            for (var i = 0; i < extra; i++) length[1 + i] = (byte)(total >> (4 + (8 * i)));
            return [.. length, .. content];
        }
        throw new ArgumentException("an AML term is longer than 256 MiB", nameof(content));
    }

    private static byte[] Join(IEnumerable<byte[]> terms) => [.. terms.SelectMany(t => t)];
}
