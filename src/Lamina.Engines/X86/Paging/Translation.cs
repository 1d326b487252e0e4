// What a page walk finds out, for the processor's own accesses and for the translator's tables.
namespace Lamina.Engines.X86.Paging;

/// <summary>What an access does.</summary>
internal enum AccessKind : byte
{
    /// <summary>A load.</summary>
    Read,

    /// <summary>A store.</summary>
    Write,

    /// <summary>An instruction fetch.</summary>
    Execute,
}

/// <summary>With which rights an access is made. SDM vol. 3, 4.6.</summary>
internal enum AccessMode : byte
{
    /// <summary>By CPL: user at 3, explicit supervisor below.</summary>
    Current,

    /// <summary>User-mode.</summary>
    User,

    /// <summary>Explicit supervisor-mode: EFLAGS.AC lifts SMAP.</summary>
    Supervisor,

    /// <summary>Implicit supervisor-mode (descriptor tables, TSS): AC does not lift SMAP.</summary>
    Implicit,
}

/// <summary>The result of a successful page walk.</summary>
internal struct Translation
{
    /// <summary>Guest-physical address of the 4 KiB page that holds the linear address.</summary>
    public ulong PhysicalPage;

    /// <summary>Size of the guest's page in bytes: 4 KiB, 2, 4 MiB or 1 GiB; 4 GiB without paging.</summary>
    public ulong PageSize;

    /// <summary>Loads with the same rights would succeed.</summary>
    public bool Readable;

    /// <summary>Stores with the same rights would succeed, the dirty bit being set already.</summary>
    public bool Writable;

    /// <summary>Fetches with the same rights would succeed.</summary>
    public bool Executable;

    /// <summary>User-mode accesses are allowed by the tables.</summary>
    public bool User;

    /// <summary>The translation survives loads of CR3 (the G bit with CR4.PGE).</summary>
    public bool Global;

    /// <summary>The dirty bit is set.</summary>
    public bool Dirty;
}
