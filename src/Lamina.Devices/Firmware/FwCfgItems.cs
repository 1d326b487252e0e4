// What firmware is told of its machine: values under numbers, and files. Whoever builds a machine fills one of these; the device gives
// its bytes away and knows no meaning of any.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.State;

namespace Lamina.Devices.Firmware;

/// <summary>The items of a firmware configuration device.</summary>
public sealed class FwCfgItems
{
    private const int MostItems = 1024, LongestItem = 1 << 26;

    private struct Item
    {
        internal ushort Key;
        internal string? Name;
        internal byte[]? Bytes;
        internal bool IsWritable;
    }

    private readonly List<Item> _items = [];

    /// <summary>Sets a value of 16 bits.</summary>
    /// <exception cref="ArgumentException">There is one of that key.</exception>
    public void Add(ushort key, ushort value)
    {
        var bytes = new byte[sizeof(ushort)];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, value);
        if (key is FwCfgSpec.Signature or FwCfgSpec.Id or FwCfgSpec.FileDirectory || key >= FwCfgSpec.FirstFile || _items.Exists(item => item.Key == key))
            throw new ArgumentException($"the key 0x{key:x} is no single value's, or there already", nameof(key));
        _items.Add(new Item { Key = key, Bytes = bytes });
    }

    /// <summary>Adds a file. Keys follow the order in which files are added.</summary>
    /// <param name="name">Its name, ASCII, at most 55 characters.</param>
    /// <param name="bytes">Its content, which is kept and not copied.</param>
    /// <param name="isWritable">Whether the guest may write it, by DMA; its length stays.</param>
    /// <exception cref="ArgumentException">The name is none, or there already.</exception>
    public void Add(string name, byte[] bytes, bool isWritable = false)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        if (name.Length is 0 or > FwCfgSpec.LongestName || !Ascii.IsValid(name) || name.Contains('\0', StringComparison.Ordinal)) throw new ArgumentException($"'{name}' cannot be a file's name", nameof(name));
        if (_items.Exists(item => item.Name == name)) throw new ArgumentException($"there is a file {name} already", nameof(name));
        _items.Add(new Item { Key = (ushort)(FwCfgSpec.FirstFile + Files.Count()), Name = name, Bytes = bytes, IsWritable = isWritable });
    }

    /// <summary>The names and contents of the files, in the directory's order.</summary>
    public IEnumerable<(string Name, ReadOnlyMemory<byte> Bytes)> Files => _items.Where(item => item.Name is not null).Select(item => (item.Name!, (ReadOnlyMemory<byte>)item.Bytes));

    /// <summary>All that can be selected, by key, with the items that every device has.</summary>
    internal SortedDictionary<ushort, (string Name, byte[] Bytes, bool IsWritable)> ToTable()
    {
        var id = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(id, FwCfgSpec.Features);
        var table = new SortedDictionary<ushort, (string, byte[], bool)>
        {
            [FwCfgSpec.Signature] = ("signature", "QEMU"u8.ToArray(), false),
            [FwCfgSpec.Id] = ("features", id, false),
            [FwCfgSpec.FileDirectory] = ("directory", Directory(), false),
        };
        foreach (var item in _items) table.Add(item.Key, (item.Name ?? $"value 0x{item.Key:x}", [.. item.Bytes!], item.IsWritable));
        return table;
    }

    /// <summary>Writes or reads them as a part of a saved state: the guest goes on with what it was told, whatever a newer program would say.</summary>
    internal void Exchange(SavedFields fields, int number)
    {
        IReadOnlyList<Item> items = _items.ToArray();
        fields.List(number, ref items, MostItems, ExchangeItem);
        if (!fields.IsLoading) return;
        _items.Clear();
        foreach (var item in items)
        {
            try
            {
                if (item.Name is { } name) Add(name, item.Bytes!, item.IsWritable);
                else if (item.Bytes!.Length == sizeof(ushort)) Add(item.Key, BinaryPrimitives.ReadUInt16LittleEndian(item.Bytes));
                else throw new ArgumentException($"a value of {item.Bytes.Length} bytes");
            }
            catch (ArgumentException wrong)
            {
                throw new StateException($"has an item that is none: {wrong.Message}", wrong);
            }
        }
    }

    private static void ExchangeItem(SavedFields fields, ref Item item)
    {
        var (name, bytes) = (item.Name ?? "", item.Bytes ?? []);
        fields.Value(1, ref item.Key);
        fields.Text(2, ref name);
        fields.Bytes(3, ref bytes, LongestItem);
        fields.Value(4, ref item.IsWritable);
        (item.Name, item.Bytes) = (name.Length == 0 ? null : name, bytes);
    }

    private byte[] Directory()
    {
        var files = _items.Where(item => item.Name is not null).ToList();
        var directory = new byte[sizeof(uint) + (files.Count * FwCfgSpec.EntryLength)];
        BinaryPrimitives.WriteInt32BigEndian(directory, files.Count);
        for (var i = 0; i < files.Count; i++)
        {
            var entry = directory.AsSpan(sizeof(uint) + (i * FwCfgSpec.EntryLength), FwCfgSpec.EntryLength);
            BinaryPrimitives.WriteInt32BigEndian(entry, files[i].Bytes!.Length);
            BinaryPrimitives.WriteUInt16BigEndian(entry[4..], files[i].Key);
            Encoding.ASCII.GetBytes(files[i].Name!, entry[8..]);
        }
        return directory;
    }
}
