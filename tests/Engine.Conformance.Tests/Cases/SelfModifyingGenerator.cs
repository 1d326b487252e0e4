// Cases that change their own code: a loop over a few arithmetic instructions with immediates, and stores of all kinds
// into those instructions: before or behind the store, in its own block or in one that a jump leads to, in the next page,
// across the page's end. What is stored is always another instruction of the same form, so the host is the judge as ever.
using Iced.Intel;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>The generator of self-modifying cases.</summary>
internal sealed class SelfModifyingGenerator
{
    private const int Counter = 1, AddressRegister = 7;
    private const ulong UndefinedByLogic = 0x10;

    // RAX, RDX, RBX, RBP, RSI: RCX counts, RDI addresses, RSP is the stack's.
    private static ReadOnlySpan<byte> Targets => [0, 2, 3, 5, 6];

    private sealed class Buffer : CodeWriter
    {
        public readonly List<byte> Bytes = [];

        public override void WriteByte(byte value) => Bytes.Add(value);
    }

    private enum Kind
    {
        /// <summary>An arithmetic instruction that may be changed.</summary>
        Slot,

        /// <summary>A store into a slot.</summary>
        Store,

        /// <summary>A jump to the next item.</summary>
        Jump,

        /// <summary>The end of the loop.</summary>
        Loop,
    }

    private readonly record struct Item(Kind Kind, int Slot, ulong Random);

    private readonly List<Item> _items = [];
    private readonly int[] _offsets = new int[64];

    /// <summary>
    /// A changed instruction may read flags that the one before it did not. Only with precise flags: otherwise flags that
    /// nothing read when the code was translated are gone when a store makes an instruction that does.
    /// </summary>
    public bool MayReadFlags { get; init; }

    /// <summary>Fills a case.</summary>
    public void Generate(TestCase test, ulong seed, CodeMode mode)
    {
        var random = new CaseRandom(seed);
        test.Reset(mode, random.Next());
        var mask = test.Bits == 64 ? ulong.MaxValue : uint.MaxValue;
        for (var i = 0; i < 16; i++) test.Gpr[i] = random.Value() & mask;
        test.Gpr[4] = CaseLayout.Data + 0x1800 - test.DataBase;
        test.Gpr[Counter] = (ulong)(1 + random.Below(6));
        test.UndefinedFlags = test.EverUndefinedFlags = UndefinedByLogic;
        ChooseItems(random);
        // Lengths do not depend on where things are: the first pass finds the places, the second uses them.
        var length = Encode(test, CaseLayout.CodeInImage).Count;
        var start = CaseLayout.CodeInImage + (random.Chance(50) ? CaseLayout.PageSize - random.Below(length) : random.Below(CaseLayout.CodeSize - length - 16));
        test.SetCode(start, Encode(test, start).ToArray());
    }

    private void ChooseItems(CaseRandom random)
    {
        _items.Clear();
        var slots = 2 + random.Below(5);
        for (var slot = 0; slot < slots; slot++)
        {
            while (random.Chance(40) && _items.Count < 40) _items.Add(new Item(Kind.Store, random.Below(slots), random.Next()));
            if (random.Chance(25)) _items.Add(new Item(Kind.Jump, 0, 0));
            _items.Add(new Item(Kind.Slot, slot, random.Next()));
        }
        _items.Add(new Item(Kind.Store, random.Below(slots), random.Next()));
        _items.Add(new Item(Kind.Loop, 0, random.Next()));
    }

    private List<byte> Encode(TestCase test, int start)
    {
        var buffer = new Buffer();
        var encoder = Encoder.Create(test.Bits, buffer);
        var first = CaseLayout.LinearOf(start) - test.CodeBase;
        for (var i = 0; i < _items.Count; i++)
        {
            var item = _items[i];
            if (item.Kind == Kind.Slot) _offsets[item.Slot] = buffer.Bytes.Count;
            foreach (var instruction in Instructions(test, item, first, first + (ulong)buffer.Bytes.Count))
                encoder.Encode(instruction, first + (ulong)buffer.Bytes.Count);
        }
        return buffer.Bytes;
    }

    private IEnumerable<Instruction> Instructions(TestCase test, Item item, ulong first, ulong here)
    {
        var random = new CaseRandom(item.Random);
        var bits = test.Bits;
        switch (item.Kind)
        {
            case Kind.Slot:
                var code = (Code)((int[])[(int)Code.Add_rm32_imm32, (int)Code.Sub_rm32_imm32, (int)Code.Xor_rm32_imm32, (int)Code.Adc_rm32_imm32])[random.Below(4)];
                return [Instruction.Create(code, Register.EAX + random.Pick(Targets), (uint)random.Next() | 0x1000)];
            case Kind.Jump:
                var jump = bits switch { 64 => Code.Jmp_rel32_64, 32 => Code.Jmp_rel32_32, _ => Code.Jmp_rel16 };
                return [Branch(jump, here + (bits == 16 ? 3u : 5u))];
            case Kind.Loop:
                var back = bits switch { 64 => Code.Jne_rel32_64, 32 => Code.Jne_rel32_32, _ => Code.Jne_rel16 };
                return [Instruction.Create(Code.Dec_rm32, Register.ECX), Branch(back, first)];
            default:
                return Store(random, bits, first + (ulong)_offsets[item.Slot], random.Chance(15));
        }
    }

    private static Instruction Branch(Code code, ulong target) => Instruction.CreateBranch(code, target);

    // A slot is [66] 81 ModRM imm32: stores go to the immediate, or to ModRM with another operation and register.
    private Instruction[] Store(CaseRandom random, int bits, ulong slot, bool changesOperation)
    {
        var prefix = bits == 16 ? 1u : 0;
        var immediate = slot + prefix + 2;
        var value = (uint)random.Next();
        if (changesOperation)
        {
            var operation = MayReadFlags ? random.Pick<byte>([0, 2, 3, 5, 6]) : random.Pick<byte>([0, 5, 6]);
            return [Instruction.Create(Code.Mov_rm8_imm8, At(bits, slot + prefix + 1), (uint)(0xc0 | operation << 3 | random.Pick(Targets)))];
        }
        switch (random.Below(9))
        {
            case 0: return [Instruction.Create(Code.Mov_rm8_imm8, At(bits, immediate + (ulong)random.Below(4)), value & 0xff)];
            case 1: return [Instruction.Create(Code.Mov_rm16_imm16, At(bits, immediate + (ulong)random.Below(3)), value & 0xffff)];
            case 2: return [Instruction.Create(Code.Mov_rm32_imm32, At(bits, immediate), value)];
            case 3: return [Instruction.Create(Code.Mov_rm32_r32, At(bits, immediate), Register.EAX + random.Pick(Targets))];
            case 4: return [Locked(Instruction.Create(Code.Add_rm32_imm32, At(bits, immediate), value))];
            case 5: return [Locked(Instruction.Create(Code.Xadd_rm32_r32, At(bits, immediate), Register.EAX + random.Pick(Targets)))];
            case 6: return [Instruction.Create(Code.Movd_rm32_xmm, At(bits, immediate), Register.XMM0 + random.Below(8))];
            case 7: return [Instruction.Create(Code.Inc_rm8, At(bits, immediate + (ulong)random.Below(4)))];
            default:
                return [Instruction.Create(Code.Mov_r32_imm32, Register.EDI, (uint)immediate), StringStore(bits)];
        }
    }

    private static Instruction StringStore(int bits) => bits switch
    {
        64 => Instruction.CreateStosd(64),
        32 => Instruction.CreateStosd(32),
        _ => Instruction.CreateStosd(16),
    };

    private static Instruction Locked(Instruction instruction)
    {
        instruction.HasLockPrefix = true;
        return instruction;
    }

    private static MemoryOperand At(int bits, ulong address) => new(Register.None, Register.None, 1, (long)address, bits == 16 ? 2 : bits == 32 ? 4 : 8, false, Register.None);
}
