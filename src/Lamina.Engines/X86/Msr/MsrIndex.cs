// Numbers of the model-specific registers that have behaviour of their own; those that merely hold a value are rows of
// PlainMsrs. SDM vol. 4; APM vol. 2, appendix A.
namespace Lamina.Engines.X86.Msr;

internal static class MsrIndex
{
    public const uint Tsc = 0x10, ApicBase = 0x1b, TscAdjust = 0x3b, SpecCtrl = 0x48, PredCmd = 0x49, MicrocodeRevision = 0x8b;
    public const uint PlatformInfo = 0xce, MtrrCap = 0xfe, ArchCapabilities = 0x10a;
    public const uint SysenterCs = 0x174, SysenterEsp = 0x175, SysenterEip = 0x176, McgCap = 0x179, McgStatus = 0x17a;
    public const uint PerfStatus = 0x198, MtrrPhysicalFirst = 0x200, MtrrPhysicalLast = 0x20f, MtrrFixed64K = 0x250, MtrrFixed16K = 0x258, MtrrFixed4K = 0x268;
    public const uint Pat = 0x277, MtrrDefaultType = 0x2ff, TscDeadline = 0x6e0, X2ApicFirst = 0x800, X2ApicLast = 0x8ff;
    public const uint WallClock = 0x4b56_4d00, SystemTime = 0x4b56_4d01;
    public const uint Efer = 0xc000_0080, Star = 0xc000_0081, Lstar = 0xc000_0082, Cstar = 0xc000_0083, Sfmask = 0xc000_0084;
    public const uint FsBase = 0xc000_0100, GsBase = 0xc000_0101, KernelGsBase = 0xc000_0102, TscAux = 0xc000_0103;
}
